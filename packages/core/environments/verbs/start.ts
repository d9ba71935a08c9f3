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
import { discardsFirstFailure, type Policy } from "../record/policy.ts";
import { type Environment, type Size, toKey } from "../record/record.ts";
import { forgetSpec, type OpenSpec, readSpec, summarizeSpec, writeSpec } from "../record/spec.ts";
import { addEntry } from "../record/timeline.ts";
import { requestRestart } from "./restart.ts";

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
  readonly sshKeys?: readonly string[] | undefined;
  readonly receiver?: string | undefined;
}

interface Start {
  /** Stored in the record, so that a repeat recognizes its own start (`isStartedBy`). */
  readonly token?: string | undefined;
  readonly onlyIf?: (environment: Environment) => boolean | Promise<boolean>;
}

/**
 * Starts a stopped environment, or remembers the start while it stops. Ignored if it already runs. Throws `notFound`,
 * `conflict` if there is nothing to start, or `quota` if too many wait.
 */
export async function requestStart(
  ctx: UserContext<"table" | "queue" | "sealer">,
  id: string,
  changes: StartChanges = {},
  { token, onlyIf = () => true }: Start = {},
): Promise<Environment> {
  // A decision may lose to another write. Its specification, which holds secrets, is then removed again.
  const written = new Set<string>();
  const replaced = new Set<string>();
  const started = await changeEnvironment(ctx, id, async (environment, now) => {
    if (!(await onlyIf(environment))) return environment;
    refuseUnlessRestartable(ctx, environment, "start");
    const isUnderWay = environment.phase !== "stopping" && environment.phase !== "stopped";
    if (isUnderWay || (environment.goal.desired === "active" && !saysAnything(changes))) return environment;
    // The first run failed: its volumes and host label are already being removed.
    if (discardsFirstFailure(environment)) throw new Problem("conflict", `${ctx.noun} ${id} has nothing to start from`);
    await refuseFullLine(ctx, (changes.size ?? environment.size).pool);
    const specified = noted(await withSpec(ctx, environment, changes), changes, now);
    if (specified.spec !== null && specified.spec !== environment.spec) written.add(specified.spec);
    if (environment.spec !== null) replaced.add(environment.spec);
    const changed = { ...specified, ...selectPlainChanges(changes, environment) };
    const { size = null, receiver } = changes;
    const sealed = receiver === undefined ? null : await sealReceiver(ctx, toKey(environment), receiver);
    const again = requestRestart(changed, now, { size, receiver: sealed });
    return { ...again, goal: { ...again.goal, startedBy: token } };
  }).catch(async (error) => {
    // After any other failure, a head may name the specification (`stepSpec` in record/spec.ts).
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

/** Reports whether this token's start was the latest, even if a stop followed: a repeat must not undo that. */
export function isStartedBy({ goal: { startedBy } }: Environment, token: string): boolean {
  return startedBy === token;
}

/** Reports whether the first run failed and its volumes are removed, so that it can only be deleted or replaced. */
export function holdsNothing(environment: Environment): boolean {
  const { phase, volumes } = environment;
  return discardsFirstFailure(environment) && volumes.every(({ volume }) => volume === null) && phase === "stopped";
}

function saysAnything(changes: StartChanges): boolean {
  return Object.values(changes).some((change) => change !== undefined);
}

function selectPlainChanges(changes: StartChanges, before: Environment): Partial<Environment> {
  const { name = before.name, labels = before.labels, resources = before.resources } = changes;
  const { policy = before.policy, ports = before.ports } = changes;
  return { name, labels, resources, policy, ports };
}

function noted(environment: Environment, { sshKeys }: StartChanges, now: number): Environment {
  return ownKeys(sshKeys).areAllUsable ? environment : addEntry(environment, now, KEY_REFUSED);
}

async function withSpec(
  ctx: UserContext<"table" | "sealer">,
  environment: Environment,
  { image, command, env, sshKeys }: StartChanges,
): Promise<Environment> {
  const key = toKey(environment);
  if ([image, command, env, sshKeys].every((change) => change === undefined)) return environment;
  const earlierSpec = environment.spec === null ? undefined : await knownSpec(ctx, environment, environment.spec);
  const next: OpenSpec = {
    image: image ?? earlierSpec?.image ?? "",
    command: command ?? earlierSpec?.command,
    env: env ?? earlierSpec?.env ?? {},
    sshKeys: sshKeys ? ownKeys(sshKeys).keys : (earlierSpec?.sshKeys ?? []),
    // It belongs to the registry of the earlier image.
    registryLogin: image === undefined ? earlierSpec?.registryLogin : undefined,
  };
  const spec = `${environment.uid}-${ctx.ids.uid().slice(0, 12)}`;
  await writeSpec(ctx, key, { uid: environment.uid, spec }, next);
  return {
    ...environment,
    spec,
    about: summarizeSpec(next),
    hasCommand: next.command !== undefined,
    access: withKeys(environment.access, next),
  };
}

/** Throws `conflict` if the seal does not open: parts that the start keeps would be lost silently. */
async function knownSpec(
  ctx: UserContext<"table" | "sealer">,
  environment: Environment,
  spec: string,
): Promise<OpenSpec | undefined> {
  try {
    return await readSpec(ctx, toKey(environment), spec);
  } catch (error) {
    if (!(error instanceof WrongSeal)) throw error;
    const message = `The specification of ${ctx.noun} ${environment.id} cannot be decrypted: sealed with another key, or changed`;
    throw new Problem("conflict", message, { cause: error });
  }
}

function withKeys(access: AccessState, { sshKeys = [] }: OpenSpec): AccessState {
  const keyed = sshKeys.length > 0;
  return { ...access, keyed, revision: keyed ? access.revision + 1 : access.revision };
}
