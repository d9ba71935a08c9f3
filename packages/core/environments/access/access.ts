import type { Observation } from "../../ports/compute.ts";
import { Conflict, kindOfError } from "../../problem.ts";
import { StepTooOld } from "../../reconciler/budget.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import { accessKey } from "../../store/keys.ts";
import { WrongSeal } from "../../store/sealed.ts";
import { openToken, type Refusal } from "../record/changes/access.ts";
import { closeActions, hasOpenAction } from "../record/changes/actions.ts";
import { type Environment, toKey } from "../record/record.ts";
import { readSpec } from "../record/spec.ts";
import { changed, noLaterThan, requeueAt } from "../record/step-result.ts";
import { addEntry } from "../record/timeline.ts";
import { fetchKeys, parseAccess } from "./guests.ts";
import { settleJupyter } from "./jupyter.ts";
import { writeSshEntry } from "./ssh-entry.ts";

/** Fast retries; later ones follow only with the checks of a run without hints. */
const MOST_TRIES = 5;
const LATER_MS = 300_000;
const REFUSED = "SSH keys and Jupyter could not be set up yet; retrying every 5 minutes";
const WRONG_SEAL = "SSH keys or the Jupyter token cannot be decrypted: sealed with another key, or changed";
const ACTIONS = ["add_user", "enable_jupyter", "disable_jupyter"] as const;

/**
 * Takes the next step towards the wanted access. A failure never fails the reconcile: after five tries the requests
 * fail, but the access stays wanted.
 */
export async function stepAccess(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Step<Environment> | undefined> {
  if (now < (findRefusal(environment)?.nextAt ?? 0)) return undefined;
  try {
    return await giveAccess(ctx, environment, observed, now);
  } catch (error) {
    if (error instanceof StepTooOld || error instanceof Conflict) throw error;
    const { uid, run } = environment;
    // The message may repeat what the run was told, including the token.
    ctx.log.warn("access not set", { uid, run: run.n, error: kindOfError(error) });
    return putOff(environment, now, error instanceof WrongSeal ? WRONG_SEAL : REFUSED);
  }
}

/** Does the same before a run is active: the run waits for its keys until they were refused five times. */
export async function awaitAccess(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Step<Environment> | undefined> {
  const refused = findRefusal(environment);
  if (isGivenUp(refused)) return undefined;
  if (refused && now < refused.nextAt) return requeueAt(environment, refused.nextAt, "waits to set its access");
  const step = await stepAccess(ctx, environment, observed, now);
  return step && isGivenUp(findRefusal(step.record)) ? noLaterThan(step, now) : step;
}

function isGivenUp(refused: Refusal | undefined): boolean {
  return refused !== undefined && refused.tries >= MOST_TRIES;
}

async function giveAccess(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Step<Environment> | undefined> {
  const { guests } = environment.access;
  const toDo = () =>
    isApplied(environment) ? settleJupyter(ctx, environment, observed, now) : applyAccess(ctx, environment, now);
  if (guests.some(({ state, tries }) => state === "wanted" && tries > 0)) {
    // GitHub does not answer, so take the steps that do not depend on it first.
    const step = await toDo();
    if (step && isNews(step.record, environment)) return step;
  }
  const wanted = guests.find((guest) => guest.state === "wanted" && guest.nextAt <= now);
  if (wanted) return fetchKeys(ctx, environment, wanted, now);
  return toDo();
}

/** Reports whether a step changed access or requests, and does not only wait, as for Jupyter. */
function isNews({ access, requests }: Environment, before: Environment): boolean {
  return access !== before.access || requests !== before.requests;
}

export function isApplied({ access: { applied, revision }, run: { n: run } }: Environment): boolean {
  return (applied?.run === run ? applied.revision : 0) === revision;
}

export function nextAccessAt(environment: Environment): number {
  const wanted = environment.access.guests.filter(({ state }) => state === "wanted").map(({ nextAt }) => nextAt);
  const at = Math.min(...wanted, isApplied(environment) ? Number.POSITIVE_INFINITY : 0);
  return Math.max(at, findRefusal(environment)?.nextAt ?? 0);
}

function findRefusal({ access: { refused }, run, requests }: Environment): Refusal | undefined {
  return refused?.run === run.n && refused.request === requests.count ? refused : undefined;
}

function putOff(environment: Environment, now: number, why: string): Step<Environment> {
  const { access, run, requests } = environment;
  const tries = (findRefusal(environment)?.tries ?? 0) + 1;
  const nextAt = now + (tries < MOST_TRIES ? 2 ** tries * 1000 : LATER_MS);
  const refused = { run: run.n, request: requests.count, tries, nextAt };
  const later = { ...environment, access: { ...access, refused } };
  return requeueAt(tries === MOST_TRIES ? sayRefused(later, now, why) : later, nextAt, "could not set its access");
}

function sayRefused(environment: Environment, now: number, why: string): Environment {
  const isAsked = ACTIONS.some((kind) => hasOpenAction(environment, kind));
  return isAsked ? closeActions(environment, ACTIONS, now, why) : addEntry(environment, now, why);
}

async function applyAccess(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const {
    access,
    uid,
    run: { n: run },
  } = environment;
  const [item, ownKeys] = await Promise.all([ctx.table.get(accessKey(environment, uid)), sentKeys(ctx, environment)]);
  const jupyter = access.jupyter && { token: await openToken(ctx, environment, access.jupyter.token) };
  const keys = access.guests.flatMap(({ name }) => keysIn(item && parseAccess(item).guests, name));
  const { login, revision } = access;
  const allKeys = [...new Set([...ownKeys, ...keys])];
  await writeSshEntry(ctx, environment, allKeys);
  await ctx.compute.setAccess(uid, run, { revision, login, keys: allKeys, jupyter });
  const guests = access.guests.map((guest) => (guest.state === "fetched" ? { ...guest, state: "in" as const } : guest));
  const applied = {
    ...environment,
    access: { ...access, guests, applied: { run, revision: access.revision }, refused: undefined },
    // The new access may change its addresses, so the next reconcile observes.
    run: { ...environment.run, mark: undefined },
  };
  const entered = new Set(guests.filter(({ state }) => state === "in").map(({ name }) => name));
  const closed = closeActions(applied, ["add_user"], now, null, ({ subject }) => entered.has(subject ?? ""));
  return changed(closed, now, "set its access");
}

/** Returns the keys of the specification; none after its removal, as at a stop. */
async function sentKeys(ctx: WorkerContext, environment: Environment): Promise<readonly string[]> {
  const { access, spec } = environment;
  if (!access.keyed || spec === null) return [];
  return (await readSpec(ctx, toKey(environment), spec))?.sshKeys ?? [];
}

function keysIn(guests: Readonly<Record<string, readonly string[]>> | undefined, name: string): readonly string[] {
  return new Map(Object.entries(guests ?? {})).get(name) ?? [];
}
