import type { Observation } from "../context.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { nextAccessAt, stepAccess } from "./access.ts";
import { lookForUse } from "./auto-stop.ts";
import { endItself, stopping } from "./fail.ts";
import { followLog, nextCopyAt } from "./log.ts";
import { stepLostMachine } from "./lost-node.ts";
import { extendRun, nextExtendAt } from "./make-run.ts";
import { missRun, seesAgain } from "./missing.ts";
import { changed, noLaterThan, tellingPool, until } from "./pace.ts";
import type { Environment } from "./record.ts";
import { noStartFrom } from "./release.ts";
import { resizeRun } from "./resize-run.ts";
import { nextWarningAt, warn } from "./warnings.ts";

/** How often a run is looked at of which nothing is signalled (docs/architecture.md#level-triggering). */
const EVERY_MS = 300_000;
const NEVER = Number.POSITIVE_INFINITY;

/** Ends it when its time or its command is over, warns before, closes extensions, opens its doors. */
export async function stepActive(ctx: WorkerContext, read: Environment, now: number): Promise<Step<Environment>> {
  const environment = noStartFrom(read, now);
  if (environment.end.outcome) return stopping(environment, now);
  const observed = await ctx.compute.observe(environment.uid, environment.run.n);
  if (!observed) return missRun(ctx, environment, now);
  if (observed.state === "ended") return endItself(environment, observed, now);
  if (environment.run.missedAt !== null) return seesAgain(environment, now);
  // Before its machine is waited for: the cluster's own deadline does not wait.
  const extended = await extendRun(ctx, environment, now);
  if (extended !== environment) return tellingPool(changed(extended, now, "extended"));
  const endsAt = environment.times.endsAt ?? NEVER;
  const silent = await stepLostMachine(ctx, environment, observed.nodes, now);
  if (silent) return noLaterThan(silent, nextExtendAt(silent.record, now));
  const resized = await resizeRun(ctx, environment, now);
  if (resized) return resized;
  const known = lookForUse(ctx, withSight(environment, observed), observed, now);
  if (known.phase !== "active") return changed(known, now, "unused");
  const warned = await followLog(ctx, warn(known, endsAt, now), now);
  const resizeAt = warned.run.resizing?.nextAt ?? NEVER;
  const further = [nextCopyAt(warned, now), nextExtendAt(warned, now), resizeAt];
  const next = [nextWarningAt(endsAt, now), now + EVERY_MS, ...further];
  const toDo = await stepAccess(ctx, warned, observed, now);
  if (toDo) return noLaterThan(toDo, Math.min(...next));
  return until(warned, Math.min(...next, nextAccessAt(warned)), "active");
}

function withSight(environment: Environment, { address, ports, limits, isolation }: Observation): Environment {
  const { run } = environment;
  return { ...environment, run: { ...run, address: address ?? run.address, ports, limits, isolation } };
}
