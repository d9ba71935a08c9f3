import * as z from "zod";
import type { Context } from "#core/context.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { findDeadline } from "#core/environments/steps/deadlines.ts";
import { readExpectedStart } from "#core/pools/forecast/expected-start.ts";
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

/** A guess of how long a present machine takes to fetch an image and start it. */
const TYPICAL_MS = 5 * 60_000;

/** What a start or a stop is answered with. The same start, or stop, has the same id however often it is asked for. */
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

/** Adds to `message` when the instance is expected to be ready, and a warning where its deadline comes before that. */
export async function withReadyTime(ctx: Context<"table">, instance: Environment, message: string): Promise<Expected> {
  const estimatedReadyTime = await formatReadyTime(ctx, instance);
  const isOnItsWay = instance.phase === "queued" || instance.phase === "preparing";
  const deadline = isOnItsWay ? findDeadline(instance, ctx.settings) : undefined;
  if (!deadline || deadline.at >= Date.parse(estimatedReadyTime)) return { message, estimatedReadyTime };
  const warning = `it fails at ${milliseconds(deadline.at)}, before its estimated time, unless it is ready by then`;
  return { message: `${message}; ${warning}`, estimatedReadyTime };
}

/** The real time where it is active; else what plan and forecast expect; else soon. */
async function formatReadyTime(ctx: Context<"table">, instance: Environment): Promise<string> {
  const { phase, end, run } = instance;
  const now = ctx.clock.now();
  if (phase === "active" && run.startedAt !== null) return milliseconds(run.startedAt);
  const waits = phase === "queued" && end.outcome === null;
  const startsAt = waits ? await expectedStart(ctx, instance) : null;
  const since = run.preparingAt ?? Math.max(startsAt ?? now, now);
  return milliseconds(Math.max(now, since + TYPICAL_MS));
}

/** The instance is made, or started, by now: an estimate that fails must not fail the request. */
async function expectedStart(ctx: Context<"table">, instance: Environment): Promise<number | null> {
  try {
    return await readExpectedStart(ctx, instance);
  } catch (error) {
    ctx.log.warn("no estimate", { instance: instance.id, error: String(error) });
    return null;
  }
}

/** 12 characters of `a-z0-9` (docs/apis/common.md#ids-and-times). */
function shortHash(hex: string): string {
  return BigInt(`0x${hex}`).toString(36).slice(-12);
}
