import type { Observation } from "../context.ts";
import { accessKey } from "../keys.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { closeActions, hasOpenAction } from "./actions.ts";
import { openToken } from "./doors.ts";
import { fetchKeys, parseAccess } from "./guests.ts";
import { changed, waited } from "./pace.ts";
import { type Environment, keyOf } from "./record.ts";
import { readSpec } from "./spec.ts";
import { addEntry } from "./timeline.ts";

/** The one next step towards the doors that are wanted; undefined when the world agrees. */
export async function stepAccess(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Step<Environment> | undefined> {
  const {
    access: doors,
    run: { n: run },
  } = environment;
  const wanted = doors.guests.find((guest) => guest.state === "wanted" && guest.nextAt <= now);
  if (wanted) return fetchKeys(ctx, environment, wanted, now);
  const told = doors.told?.run === run ? doors.told.revision : 0;
  if (told !== doors.revision) return tell(ctx, environment, now);
  return settleJupyter(environment, observed, now);
}

/** Says it all to the run: the keys that came with it, those that were fetched, and Jupyter. */
async function tell(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const {
    access: doors,
    uid,
    run: { n: run },
  } = environment;
  const [item, own] = await Promise.all([ctx.table.get(accessKey(environment, uid)), sentKeys(ctx, environment)]);
  const jupyter = doors.jupyter && { token: await openToken(ctx, environment, doors.jupyter.token) };
  const keys = doors.guests.flatMap(({ name }) => keysIn(item && parseAccess(item).guests, name));
  await ctx.compute.setAccess(uid, run, { login: doors.login, keys: [...new Set([...own, ...keys])], jupyter });
  const guests = doors.guests.map((guest) => (guest.state === "fetched" ? { ...guest, state: "in" as const } : guest));
  const told = { ...environment, access: { ...doors, guests, told: { run, revision: doors.revision } } };
  const entered = new Set(guests.filter(({ state }) => state === "in").map(({ name }) => name));
  const closed = closeActions(told, ["add_user"], now, null, ({ subject }) => entered.has(subject ?? ""));
  return changed(closed, now, "told its doors");
}

/** None once its specification was removed, as at a stop. */
async function sentKeys(ctx: WorkerContext, environment: Environment): Promise<readonly string[]> {
  const { access: doors, spec } = environment;
  if (!doors.keyed || spec === null) return [];
  return (await readSpec(ctx, keyOf(environment), spec))?.sshKeys ?? [];
}

function keysIn(guests: Readonly<Record<string, readonly string[]>> | undefined, name: string): readonly string[] {
  return new Map(Object.entries(guests ?? {})).get(name) ?? [];
}

const JUPYTER_ACTIONS = ["enable_jupyter", "disable_jupyter"] as const;

/** Closes what was asked of Jupyter once the run shows it; a failure puts it back to off. */
function settleJupyter(environment: Environment, observed: Observation, now: number): Step<Environment> | undefined {
  const { access: doors } = environment;
  const asked = JUPYTER_ACTIONS.some((kind) => hasOpenAction(environment, kind));
  if (!doors.jupyter) {
    if (observed.jupyter) return asked ? waited(environment, now, "waits for Jupyter to end") : undefined;
    return asked ? changed(closeActions(environment, JUPYTER_ACTIONS, now), now, "Jupyter is off") : undefined;
  }
  if (observed.jupyter?.state === "failed") return giveUp(environment, observed.jupyter.reason, now);
  const origin = observed.jupyter?.origin ?? null;
  if (observed.jupyter?.state !== "on" || origin === null) {
    return doors.jupyter.origin === null ? waited(environment, now, "waits for Jupyter") : undefined;
  }
  if (doors.jupyter.origin === origin && !asked) return undefined;
  const on = { ...environment, access: { ...doors, jupyter: { ...doors.jupyter, origin } } };
  return changed(closeActions(on, JUPYTER_ACTIONS, now), now, "Jupyter is on");
}

function giveUp(environment: Environment, words: string | null, now: number): Step<Environment> {
  const { access: doors } = environment;
  const reason = words ?? "Jupyter could not be started";
  const asked = JUPYTER_ACTIONS.some((kind) => hasOpenAction(environment, kind));
  const off = { ...environment, access: { ...doors, jupyter: null, revision: doors.revision + 1 } };
  const closed = closeActions(off, JUPYTER_ACTIONS, now, reason);
  return changed(asked ? closed : addEntry(closed, now, reason), now, "gave Jupyter up");
}
