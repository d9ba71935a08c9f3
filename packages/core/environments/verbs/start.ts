import type { UserContext } from "../../context.ts";
import { refuseFullLine } from "../../pools/admission/waiting-limit.ts";
import type { Resources, RunPort } from "../../ports/compute.ts";
import { Problem } from "../../problem.ts";
import { environmentKey } from "../../store/keys.ts";
import { WrongSeal } from "../../store/sealed.ts";
import { sealReceiver } from "../../webhooks/receiver.ts";
import { KEY_REFUSED, ownKeys } from "../access/ssh-keys.ts";
import type { AccessState } from "../record/changes/access.ts";
import { changeEnvironment, refuseUnlessRestartable } from "../record/changes/change.ts";
import { isCleared } from "../record/cleared.ts";
import type { Policy } from "../record/policy.ts";
import { type Environment, keyOf, type Size } from "../record/record.ts";
import { aboutOf, forgetSpec, type OpenSpec, readSpec, writeSpec } from "../record/spec.ts";
import { addEntry } from "../record/timeline.ts";
import { requestRestart } from "./restart.ts";

/** What a start may change; what is not said stays as it was. */
export interface StartChanges {
  readonly name?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly resources?: Resources | undefined;
  readonly policy?: Policy | undefined;
  readonly ports?: readonly RunPort[] | undefined;
  readonly size?: Size | undefined;
  readonly image?: string | undefined;
  readonly command?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** These replace the keys that it had. What is no key is left out, and the timeline says so. */
  readonly sshKeys?: readonly string[] | undefined;
  /** The URL that gets the events of this run in place of the usual one. */
  readonly receiver?: string | undefined;
}

interface Start {
  /** What a repeat finds in the record where the one before it started it (`isStartedBy`). */
  readonly token?: string | undefined;
  /** Asked of the record that is about to be written: nothing is started where it says no. */
  readonly onlyIf?: (environment: Environment) => boolean | Promise<boolean>;
}

/**
 * Wants it to run again, on its own volumes; while it is being stopped that is remembered. What runs already, or is on
 * its way, is left as it is, whatever shall change. Throws `notFound`, `conflict` when there is nothing to start, or
 * `quota` when too many of the caller's wait for its pool.
 */
export async function requestStart(
  ctx: UserContext<"table" | "queue" | "sealer">,
  id: string,
  changes: StartChanges = {},
  { token, onlyIf = () => true }: Start = {},
): Promise<Environment> {
  // Others may be faster: then what was written for a decision that did not hold goes again, with the secrets in it.
  const written = new Set<string>();
  const replaced = new Set<string>();
  const started = await changeEnvironment(ctx, id, async (environment, now) => {
    if (!(await onlyIf(environment))) return environment;
    refuseUnlessRestartable(ctx, environment, "start");
    const isUnderWay = environment.phase !== "stopping" && environment.phase !== "stopped";
    if (isUnderWay || (environment.goal.desired === "active" && !saysAnything(changes))) return environment;
    // Decided with the failure: its volumes and its host label go, however soon this comes.
    if (isCleared(environment)) throw new Problem("conflict", `${ctx.noun} ${id} has nothing to start from`);
    await refuseFullLine(ctx, (changes.size ?? environment.size).pool);
    const specified = noted(await withSpec(ctx, environment, changes), changes, now);
    if (specified.spec !== null && specified.spec !== environment.spec) written.add(specified.spec);
    if (environment.spec !== null) replaced.add(environment.spec);
    const changed = { ...specified, ...plainOf(changes, environment) };
    const { size = null, receiver } = changes;
    const sealed = receiver === undefined ? null : await sealReceiver(ctx, keyOf(environment), receiver);
    const again = requestRestart(changed, now, { size, receiver: sealed });
    return { ...again, goal: { ...again.goal, startedBy: token } };
  }).catch(async (error) => {
    // Any other failure leaves unknown whether a head names the specification (unnamed-spec.ts).
    if (error instanceof Problem) await forgetSpecs(ctx, id, written);
    throw error;
  });
  await forgetSpecs(ctx, id, new Set([...written, ...replaced].filter((spec) => spec !== started.spec)));
  return started;
}

async function forgetSpecs(ctx: UserContext<"table">, id: string, specs: ReadonlySet<string>): Promise<void> {
  const key = environmentKey(ctx.actor.uid, ctx.dialect, id);
  await Promise.all([...specs].map((spec) => forgetSpec(ctx, key, spec)));
}

/** Whether the start of this token was the latest: it may have been stopped since, which a repeat does not undo. */
export function isStartedBy({ goal: { startedBy } }: Environment, token: string): boolean {
  return startedBy === token;
}

/** Its first run failed, and what was made for it was removed again: it can only be deleted, or made anew. */
export function holdsNothing(environment: Environment): boolean {
  const { phase, volumes } = environment;
  return isCleared(environment) && volumes.every(({ volume }) => volume === null) && phase === "stopped";
}

function saysAnything(changes: StartChanges): boolean {
  return Object.values(changes).some((change) => change !== undefined);
}

/** What the head itself holds of it. */
function plainOf(changes: StartChanges, before: Environment): Partial<Environment> {
  const { name = before.name, labels = before.labels, resources = before.resources } = changes;
  const { policy = before.policy, ports = before.ports } = changes;
  return { name, labels, resources, policy, ports };
}

function noted(environment: Environment, { sshKeys }: StartChanges, now: number): Environment {
  return ownKeys(sshKeys).areAllUsable ? environment : addEntry(environment, now, KEY_REFUSED);
}

/** The new specification is written before the head that names it. */
async function withSpec(
  ctx: UserContext<"table" | "sealer">,
  environment: Environment,
  { image, command, env, sshKeys }: StartChanges,
): Promise<Environment> {
  const key = keyOf(environment);
  if ([image, command, env, sshKeys].every((change) => change === undefined)) return environment;
  const known = environment.spec === null ? undefined : await knownSpec(ctx, environment, environment.spec);
  const next: OpenSpec = {
    image: image ?? known?.image ?? "",
    command: command ?? known?.command,
    env: env ?? known?.env ?? {},
    sshKeys: sshKeys ? ownKeys(sshKeys).keys : (known?.sshKeys ?? []),
  };
  const spec = `${environment.uid}-${ctx.ids.uid().slice(0, 12)}`;
  await writeSpec(ctx, key, { uid: environment.uid, spec }, next);
  return {
    ...environment,
    spec,
    about: aboutOf(next),
    hasCommand: next.command !== undefined,
    access: withKeys(environment.access, next),
  };
}

/** Throws `conflict` when nobody opens it any more: what the start does not name would be lost without a word. */
async function knownSpec(
  ctx: UserContext<"table" | "sealer">,
  environment: Environment,
  spec: string,
): Promise<OpenSpec | undefined> {
  try {
    return await readSpec(ctx, keyOf(environment), spec);
  } catch (error) {
    if (!(error instanceof WrongSeal)) throw error;
    const message = `What ${ctx.noun} ${environment.id} ran cannot be opened: it was sealed with another key, or changed`;
    throw new Problem("conflict", message, { cause: error });
  }
}

/** The next run is told all that is wanted, which may be nothing yet. */
function withKeys(access: AccessState, { sshKeys = [] }: OpenSpec): AccessState {
  const keyed = sshKeys.length > 0;
  return { ...access, keyed, revision: keyed ? access.revision + 1 : access.revision };
}
