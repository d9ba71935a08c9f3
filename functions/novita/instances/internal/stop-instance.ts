import * as z from "zod";
import type { UserContext } from "#core/context.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { requestStop } from "#core/environments/verbs/stop.ts";
import { type InstanceStatus, toStatus } from "../schemas.ts";
import { refuseBadReceiver, WebhookUrl } from "./new-instance.ts";
import { type StopOperation, toOperation } from "./operation.ts";

export const StopInstance = z
  .object({
    webhookUrl: WebhookUrl.describe(
      "The URL that receives each step of the instance, in the order of `sequence`. No answer ever shows it.",
    ),
  })
  .meta({ id: "StopInstance" });

const stopped: readonly InstanceStatus[] = ["stopped", "failed", "terminated"];

export async function stopInstance(
  ctx: UserContext<"table" | "queue" | "sealer" | "fetch">,
  instance: Environment,
  { webhookUrl }: z.output<typeof StopInstance>,
): Promise<z.infer<typeof StopOperation>> {
  const status = toStatus(instance);
  if (stopped.includes(status)) {
    return toOperation(ctx, instance, "stop", { status, message: "Instance is already stopped" });
  }
  await refuseBadReceiver(ctx, webhookUrl);
  const answer = { status: "stopping", message: "Instance stop initiated successfully" } as const;
  return toOperation(
    ctx,
    await requestStop(ctx, instance.id, { reason: "requested", receiver: webhookUrl }),
    "stop",
    answer,
  );
}
