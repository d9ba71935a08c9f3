import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { drainPool } from "#core/pools/admission.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { AdmissionState, gpuTypeOf, PoolRef, toAdmissionState } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/admin/pools/{gpu_type}/undrain",
  {
    summary: "Start jobs on a GPU type again",
    uses: ["table", "queue"],
    admin: true,
    params: PoolRef,
    reply: AdmissionState,
  },
  async ({ ctx, params, requestId }) =>
    audited(ctx, { action: "undrain_pool", target: params.gpu_type, requestId }, async () =>
      toAdmissionState(await drainPool(ctx, gpuTypeOf(params), false)),
    ),
);

export const handler = lambda(endpoint, { table, queue });
