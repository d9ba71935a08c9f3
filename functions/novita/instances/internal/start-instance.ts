import * as z from "zod";
import type { UserContext } from "#core/context.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { requestStart } from "#core/environments/verbs/start.ts";
import { Problem } from "#core/problem.ts";
import type { Served } from "#http/runtime.ts";
import { loadCatalogue } from "../../internal/catalogue.ts";
import { type InstanceStatus, toStatus } from "../schemas.ts";
import { policyFor, refuseBadReceiver, selectPorts, WebhookUrl } from "./new-instance.ts";
import { type StartOperation, toOperation, withReadyTime } from "./operation.ts";

const TargetPort = z.int().min(1).max(65_535).optional();

const HealthCheck = z
  .object({
    timeoutMs: z.int().min(1_000).max(300_000).default(30_000).describe("Time limit of one probe in milliseconds."),
    retryAttempts: z.int().min(0).max(10).default(3).describe("Number of further probes after a failed one."),
    retryDelayMs: z.int().min(100).max(30_000).default(2_000).describe("Pause between two probes in milliseconds."),
    maxWaitTimeMs: z
      .int()
      .min(30_000)
      .max(1_800_000)
      .default(600_000)
      .describe("Time limit in milliseconds for the run to become ready."),
    targetPort: TargetPort.describe("A further port that must answer before the instance is ready."),
  })
  .meta({ id: "HealthCheck" });

export const StartInstance = z
  .object({
    targetPort: TargetPort.describe("A further port that must answer before the instance is ready."),
    healthCheckConfig: HealthCheck.optional().describe("How the ports of this run are probed."),
    webhookUrl: WebhookUrl.describe(
      "The URL that receives each step of the instance, in the order of `sequence`. No answer ever shows it.",
    ),
  })
  .meta({ id: "StartInstance" });

const notStartable: readonly InstanceStatus[] = ["stopping", "terminated"];

/** Starts a stopped or failed instance, and otherwise reports the running start. Throws `conflict` while it stops. */
export async function startInstance(
  ctx: Served<UserContext<"table" | "queue" | "sealer" | "fetch">>,
  instance: Environment,
  body: z.output<typeof StartInstance>,
): Promise<z.infer<typeof StartOperation>> {
  const before = toStatus(instance);
  if (notStartable.includes(before)) {
    const message = `Instance ${instance.id} is ${before} and cannot be started`;
    throw new Problem("conflict", message, { code: "INSTANCE_NOT_STARTABLE" });
  }
  await refuseBadReceiver(ctx, body.webhookUrl);
  const started = await requestStart(ctx, instance.id, getChanges(ctx, instance, body));
  const status = toStatus(started);
  const words = status === "ready" ? "Instance is already running" : "Instance start initiated successfully";
  const { message, estimatedReadyTime } = await withReadyTime(ctx, started, words);
  return { ...toOperation(ctx, started, "start", { status, message }), estimatedReadyTime };
}

/** Returns the changes for this run only. The next start begins with the defaults again. */
function getChanges({ settings }: Served<UserContext>, instance: Environment, body: z.output<typeof StartInstance>) {
  const { healthCheckConfig, webhookUrl } = body;
  const { healthCheck: _, ...labels } = instance.labels;
  const template = loadCatalogue(settings).templates.find(labels.templateId ?? "");
  const target = body.targetPort ?? healthCheckConfig?.targetPort;
  return {
    labels: healthCheckConfig ? { ...labels, healthCheck: JSON.stringify(healthCheckConfig) } : labels,
    policy: policyFor(healthCheckConfig?.maxWaitTimeMs),
    ports: selectPorts(template ?? instance, target),
    receiver: webhookUrl,
  };
}
