import { readAdvice } from "../../../pools/forecast/advice.ts";
import type { WorkerContext } from "../../../reconciler/step.ts";
import { durationText } from "../../../text/duration-text.ts";
import { utcText } from "../../../text/utc.ts";
import { MINUTE_MS } from "../../../units.ts";
import type { Environment } from "../../record/record.ts";
import { addEntry } from "../../record/timeline.ts";

/** Time until the next plan grants capacity and the grant is taken. */
const MARGIN_MS = 2 * MINUTE_MS;

/**
 * Returns a waiting environment with another duration, or undefined if its duration stays. Machines that close before it
 * would end are not granted to it. If it accepts less time (Slurm's `--time-min`), it gets the time until they close. It
 * gets back what it wanted once that is less than it accepts.
 */
export async function fitToClosing(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Environment | undefined> {
  const { uid, size, policy, placement } = environment;
  const { shortened } = placement;
  if (policy.leastMs === undefined) return undefined;
  const { place } = (await readAdvice(ctx, [environment])).get(uid) ?? {};
  const closesAt = place?.code === "closing" ? place.available : undefined;
  const until = closesAt ?? shortened?.until;
  if (until === undefined) return undefined;
  const askedMs = size.wantedMs + (shortened?.ms ?? 0);
  const leftMs = until - now - MARGIN_MS;
  if (leftMs < policy.leastMs || leftMs >= askedMs) return shortened && restore(environment, askedMs, now);
  if (closesAt === undefined || now + size.wantedMs <= closesAt) return undefined;
  const fitted = {
    ...environment,
    size: { ...size, wantedMs: leftMs },
    placement: { ...placement, shortened: { ms: askedMs - leftMs, until } },
  };
  if (shortened?.until === until) return fitted;
  return addEntry(fitted, now, `Shortened to ${durationText(leftMs)}: machines close at ${utcText(until)}`);
}

function restore(environment: Environment, wantedMs: number, now: number): Environment {
  const { size, placement } = environment;
  const restored = { ...environment, size: { ...size, wantedMs }, placement: { ...placement, shortened: undefined } };
  return addEntry(restored, now, `No longer shortened: waits for machines for ${durationText(wantedMs)}`);
}
