import * as z from "zod";
import type { Context } from "#core/context.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { findDeadline } from "#core/environments/steps/deadlines.ts";
import { readExpectedStart } from "#core/pools/forecast/advice.ts";
import { milliseconds } from "#http/answers/timestamp.ts";
import { type InstanceStatus, instanceStatuses, Timestamp } from "../schemas.ts";

const Operation = z
  .object({
    instanceId: z.string().describe("The instance's id."),
    novitaInstanceId: z.string().describe("Same as `instanceId`."),
    operationId: z.string().describe("The id of the start or stop. A repeated request gets the same one."),
    status: z.enum(instanceStatuses).describe("The instance's current state."),
    message: z.string().describe("What happened, in words."),
  })
  .meta({ id: "StopOperation" });

export const StartOperation = Operation.extend({
  estimatedReadyTime: Timestamp.describe(
    "When the instance is expected to be ready, or was. `message` says where its run fails before that.",
  ),
}).meta({ id: "StartOperation" });
export const StopOperation = Operation;

/** A guess of how long a present machine takes to pull an image and start it. */
const TYPICAL_MS = 5 * 60_000;

/** Returns the answer to a start or a stop. A repeated request gets the same id. */
export function toOperation(
  { ids }: Pick<Context, "ids">,
  { id, uid, starts }: Environment,
  kind: "start" | "stop",
  answer: { readonly status: InstanceStatus; readonly message: string },
): z.infer<typeof Operation> {
  const operationId = `op_${shortHash(ids.hash(`${uid}#${kind}#${starts}`))}`;
  return { instanceId: id, novitaInstanceId: id, operationId, ...answer };
}

interface Expected {
  readonly message: string;
  readonly estimatedReadyTime: string;
}

/** Adds the expected ready time, and a warning if the deadline comes first. */
export async function withReadyTime(ctx: Context<"table">, instance: Environment, message: string): Promise<Expected> {
  const estimatedReadyTime = await formatReadyTime(ctx, instance);
  const isOnItsWay = instance.phase === "queued" || instance.phase === "preparing";
  const deadline = isOnItsWay ? findDeadline(instance, ctx.settings) : undefined;
  if (!deadline || deadline.at >= Date.parse(estimatedReadyTime)) return { message, estimatedReadyTime };
  const warning = `it fails at ${milliseconds(deadline.at)}, before its estimated time, unless it is ready by then`;
  return { message: `${message}; ${warning}`, estimatedReadyTime };
}

/** Returns the real time of an active instance, otherwise the planned or forecast one, otherwise soon. */
async function formatReadyTime(ctx: Context<"table">, instance: Environment): Promise<string> {
  const { phase, end, run } = instance;
  const now = ctx.clock.now();
  if (phase === "active" && run.startedAt !== null) return milliseconds(run.startedAt);
  const waits = phase === "queued" && end.outcome === null;
  const startsAt = waits ? await expectedStart(ctx, instance) : null;
  const since = run.preparingAt ?? Math.max(startsAt ?? now, now);
  return milliseconds(Math.max(now, since + TYPICAL_MS));
}

/** The request has already succeeded, so a failing estimate must not fail it. */
async function expectedStart(ctx: Context<"table">, instance: Environment): Promise<number | null> {
  try {
    return await readExpectedStart(ctx, instance);
  } catch (error) {
    ctx.log.warn("no estimate", { instance: instance.id, error: String(error) });
    return null;
  }
}

function shortHash(hex: string): string {
  return BigInt(`0x${hex}`).toString(36).slice(-12);
}

export const exampleStart = {
  instanceId: "inst_9k2m4p7q1x3z",
  novitaInstanceId: "inst_9k2m4p7q1x3z",
  operationId: "op_4f7h2k9m1p3q",
  status: "starting",
  message: "Instance start initiated successfully",
  estimatedReadyTime: "2026-01-20T18:05:00.000Z",
};

export const exampleStop = {
  instanceId: "inst_9k2m4p7q1x3z",
  novitaInstanceId: "inst_9k2m4p7q1x3z",
  operationId: "op_4f7h2k9m1p3q",
  status: "stopping",
  message: "Instance stop initiated successfully",
};
