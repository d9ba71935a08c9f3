import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { pauseAdmission } from "#core/pools/admission.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { AdmissionState, noteOf, OperatorReason, toAdmissionState } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/admin/admission/pause",
  {
    summary: "Start no new jobs at all; those that run go on",
    uses: ["table", "queue"],
    admin: true,
    body: OperatorReason,
    reply: AdmissionState,
  },
  async ({ ctx, body, requestId }) =>
    audited(ctx, { action: "pause_admission", target: null, requestId }, async () =>
      toAdmissionState(await pauseAdmission(ctx, true, noteOf(ctx.actor.username, body))),
    ),
);

export const handler = lambda(endpoint, { table, queue });
