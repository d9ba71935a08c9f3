import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { expireSshEntry } from "../../access/ssh-entry.ts";
import { releaseLabel } from "../../record/address-label.ts";
import { closeActions } from "../../record/changes/actions.ts";
import { endExtensions } from "../../record/changes/extensions.ts";
import type { Outcome } from "../../record/end.ts";
import { discardsFirstFailure } from "../../record/policy.ts";
import { type Environment, toKey } from "../../record/record.ts";
import { forgetSecrets, forgetSpec } from "../../record/spec.ts";
import { changed, requeueAt } from "../../record/step-result.ts";
import { enter } from "../../record/transitions.ts";
import { asStopped } from "../../verbs/stop.ts";
import { removeVolumes } from "../start/own-volumes.ts";
import { keepArchive } from "./keep-archive.ts";

/** Searches for late objects after the end (docs/architecture/consistency.md#paused-workers). */
export const CHECKS_AFTER_END_MS = [60_000, 600_000];
const ACCESS_ACTIONS = ["enable_jupyter", "disable_jupyter", "add_user"] as const;
const TOO_LATE = "It ended before this was done";

export async function finalize(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const {
    end: { outcome },
  } = environment;
  if (outcome) return leaveNothing(ctx, environment, outcome, now);
  const {
    run: { error: broken },
    addressLabel,
    uid,
  } = environment;
  const clears = discardsFirstFailure(environment);
  if (clears && addressLabel !== null) await releaseLabel(ctx, addressLabel, uid);
  const bare = await withoutSecrets(ctx, environment);
  const cleared = clears ? await removeVolumes(ctx, bare, now) : undefined;
  if (cleared) return cleared;
  const stopped = asStopped(closeOwn(bare, now), now, broken ?? bare.reason);
  const isWanted = stopped.goal.desired === "active";
  return isWanted
    ? changed(stopped, now, "stopped")
    : requeueAt(stopped, now + (CHECKS_AFTER_END_MS[0] ?? 0), "stopped");
}

/** Keeps the archive before removing its volumes. Host name and secrets go even if a volume cannot be removed. */
async function leaveNothing(
  ctx: WorkerContext,
  environment: Environment,
  outcome: Outcome,
  now: number,
): Promise<Step<Environment>> {
  const archived = await keepArchive(ctx, environment, now);
  if (archived) return archived;
  const { addressLabel, uid } = environment;
  if (addressLabel !== null) await releaseLabel(ctx, addressLabel, uid);
  const bare = await forgetSecrets(ctx, environment);
  await expireSshEntry(ctx, environment);
  return (await removeVolumes(ctx, bare, now)) ?? end(bare, outcome, now);
}

function end(bare: Environment, { phase, reason }: Outcome, now: number): Step<Environment> {
  const ended = enter(bare, phase, now, "All of it is removed");
  const final: Environment = { ...ended, reason, end: { ...ended.end, at: now } };
  const environment = closeActions(endExtensions(final, now), ["cancel"], now);
  const closed = closeActions(environment, ["resize"], now, TOO_LATE);
  return requeueAt(closeOwn(closed, now), now + (CHECKS_AFTER_END_MS[0] ?? 0), phase);
}

/** Removes the specification if the policy says so. A start in the meantime has already written a new one. */
export async function withoutSecrets(ctx: WorkerContext, environment: Environment): Promise<Environment> {
  const {
    policy,
    spec,
    goal: { desired },
  } = environment;
  if (!policy.forgetsSpec || spec === null || desired === "active") return environment;
  await forgetSpec(ctx, toKey(environment), spec);
  return { ...environment, spec: null };
}

function closeOwn(environment: Environment, now: number): Environment {
  return closeActions(environment, ACCESS_ACTIONS, now, TOO_LATE);
}
