import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { pauseAdmission } from "#core/pools/admission.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { AdmissionState, toAdmissionState } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/admin/admission/resume",
  {
    summary: "Start jobs again, but on drained GPU types",
    uses: ["table", "queue"],
    admin: true,
    reply: AdmissionState,
  },
  async ({ ctx, requestId }) =>
    audited(ctx, { action: "resume_admission", target: null, requestId }, async () =>
      toAdmissionState(await pauseAdmission(ctx, false)),
    ),
);

export const handler = lambda(endpoint, { table, queue });
