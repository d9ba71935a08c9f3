import type { Context } from "../../context.ts";
import type { RegistryLogin } from "../../ports/compute.ts";
import type { Sealer } from "../../ports/sealer.ts";
import type { Item, Key } from "../../ports/table.ts";
import { Conflict } from "../../problem.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import { getDueShard } from "../../store/due.ts";
import { accessKey, keyOfText, keyText, specKey, supersededKey } from "../../store/keys.ts";
import { readEach, unlessUnreadable } from "../../store/readable.ts";
import { type Sealed, WrongSeal } from "../../store/sealed.ts";
import { branded, number, optional, text, uid } from "../../store/shape.ts";
import { createParser } from "../../store/unreadable.ts";
import { removeRecord, writeRecord } from "../../store/write-record.ts";
import { HOUR_MS } from "../../units.ts";
import { parseEnvironment } from "./parse.ts";
import { type About, type Environment, type EnvironmentSpec, isEnded } from "./record.ts";

export interface OpenSpec {
  readonly image: string;
  readonly command: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** Public SSH keys of its runs, each `<type> <base64>`. Stored here because a start replaces them with the rest. */
  readonly sshKeys?: readonly string[] | undefined;
  readonly registryLogin?: RegistryLogin | undefined;
}

const MOST_NAMED = 4_096;

export function summarizeSpec({ image, env }: Pick<OpenSpec, "image" | "env">): About {
  let length = 0;
  const envNames = Object.keys(env).filter((name) => {
    length += name.length;
    return length <= MOST_NAMED;
  });
  return { image, envNames };
}

export async function decryptSpec(sealer: Sealer, item: Item): Promise<OpenSpec> {
  const { image, sealed } = parseSpec(item);
  const opened = JSON.parse(await sealer.open(sealed, keyText(item))) as Omit<OpenSpec, "image">;
  const { command, env, sshKeys, registryLogin } = opened;
  return { image, command, env, sshKeys, registryLogin };
}

/** Checks only the outside; the seal protects the content. */
export const parseSpec: (item: Item) => EnvironmentSpec = createParser("spec", {
  uid,
  image: text,
  sealed: branded<Sealed>(),
  head: optional(text),
  dueShard: optional(text),
  dueAt: optional(number),
});

/** Longer than an Idempotency-Key is valid, and than a writer may be paused before the head. */
const UNNAMED_MS = 25 * HOUR_MS;

export async function readSpec(
  ctx: Context<"table" | "sealer">,
  environment: Key,
  spec: string,
): Promise<OpenSpec | undefined> {
  const item = await ctx.table.get(specKey(environment, spec));
  return item && decryptSpec(ctx.sealer, item);
}

/** Returns undefined once the environment has ended, or if its specification cannot be read. */
export async function findCommand(
  ctx: Context<"table" | "sealer">,
  { hasCommand, spec, ...key }: Environment,
): Promise<string | undefined> {
  if (!hasCommand || spec === null) return undefined;
  try {
    return (await unlessUnreadable(ctx, () => readSpec(ctx, key, spec)))?.command;
  } catch (error) {
    if (!(error instanceof WrongSeal)) throw error;
    return undefined;
  }
}

/** Writes the specification before its head. It is due later: the writer may die in between. */
export async function writeSpec(
  ctx: Context<"table" | "sealer">,
  environment: Key,
  { uid, spec }: { readonly uid: string; readonly spec: string },
  { image, command, env, sshKeys = [], registryLogin }: OpenSpec,
): Promise<void> {
  const key = specKey(environment, spec);
  const secrets = { command, env, ...(sshKeys.length > 0 && { sshKeys }), registryLogin };
  const sealed = await ctx.sealer.seal(JSON.stringify(secrets), keyText(key));
  const due = { dueShard: getDueShard(ctx.ids, key), dueAt: ctx.clock.now() + UNNAMED_MS };
  const head = keyText(environment);
  const written: EnvironmentSpec = { ...key, writers: [], kind: "spec", uid, image, sealed, head, ...due };
  await writeRecord(ctx, written);
}

export async function forgetSpec(ctx: Context<"table">, environment: Key, spec: string): Promise<void> {
  for (let isLeft = true; isLeft; ) {
    const item = await ctx.table.get(specKey(environment, spec));
    isLeft = item !== undefined && !(await removeRecord(ctx, item));
  }
}

/**
 * Removes all specifications of an ended environment and the keys of its guests. Returns the record without its token.
 * Idempotent; throws `Conflict` to retry.
 */
export async function forgetSecrets(ctx: Context<"table">, environment: Environment): Promise<Environment> {
  const { uid, access } = environment;
  const guestKeys = await ctx.table.get(accessKey(environment, uid));
  if (guestKeys) await removeSecret(ctx, guestKeys);
  let after: string | undefined;
  do {
    const query = { pk: specKey(environment, uid).pk, prefix: uid };
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    await Promise.all(page.items.map((item) => removeSecret(ctx, item)));
    after = page.next;
  } while (after !== undefined);
  return { ...environment, spec: null, access: { ...access, jupyter: null } };
}

async function removeSecret(ctx: Context<"table">, item: Item): Promise<void> {
  if (!(await removeRecord(ctx, item))) throw new Conflict(keyText(item));
}

const UNREADABLE_MS = HOUR_MS;

/**
 * Keeps a specification that a live head names. Otherwise its create or start died or was paused, and its secrets
 * are removed.
 */
export async function stepSpec(
  ctx: WorkerContext,
  item: Item,
  now: number,
): Promise<Step<EnvironmentSpec> | undefined> {
  const spec = parseSpec(item);
  const named = await isNamed(ctx, spec);
  if (named === "unknown") return { record: { ...spec, dueAt: now + UNREADABLE_MS }, notify: [], log: "not known" };
  if (named) return { record: { ...spec, dueAt: undefined }, notify: [], log: "named by its head" };
  if (!(await removeRecord(ctx, item))) throw new Conflict(keyText(item));
  return undefined;
}

/** Returns `unknown` if the head that may name it is unreadable or not recorded. */
async function isNamed(ctx: WorkerContext, { uid, pk, sk, head = "" }: EnvironmentSpec): Promise<boolean | "unknown"> {
  const key = keyOfText(head);
  if (!key || specKey(key, sk).pk !== pk) return "unknown";
  const items = await ctx.table.getMany([key, supersededKey(key, uid)]);
  const { records, unreadable } = readEach(ctx, items, parseEnvironment);
  if (unreadable.size > 0) return "unknown";
  return records.some((environment) => environment.uid === uid && environment.spec === sk && !isEnded(environment));
}
