import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { drainPool } from "#core/pools/admission.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { AdmissionState, gpuTypeOf, noteOf, OperatorReason, PoolRef, toAdmissionState } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/admin/pools/{gpu_type}/drain",
  {
    summary: "Start no new jobs on a GPU type; those that run go on",
    uses: ["table", "queue"],
    admin: true,
    params: PoolRef,
    body: OperatorReason,
    reply: AdmissionState,
  },
  async ({ ctx, params, body, requestId }) =>
    audited(ctx, { action: "drain_pool", target: params.gpu_type, requestId }, async () =>
      toAdmissionState(await drainPool(ctx, gpuTypeOf(params), true, noteOf(ctx.actor.username, body))),
    ),
);

export const handler = lambda(endpoint, { table, queue });
