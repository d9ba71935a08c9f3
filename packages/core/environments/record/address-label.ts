import type { Context } from "../../context.ts";
import type { Item, Key, Stored } from "../../ports/table.ts";
import { Conflict } from "../../problem.ts";
import { hostKey, keyOfText, keyText } from "../../store/keys.ts";
import { readEach, unlessUnreadable } from "../../store/readable.ts";
import { uid as isUid, number, text } from "../../store/shape.ts";
import { parserOf } from "../../store/unreadable.ts";
import { removeRecord, writeRecord } from "../../store/write-record.ts";
import { parseEnvironment } from "./parse.ts";
import type { Environment } from "./record.ts";

/** Who has a part of a host name: global, since host names are. */
interface HostClaim extends Stored {
  readonly kind: "host";
  readonly uid: string;
  /** The key of the environment's record, as a message carries it. */
  readonly key: string;
  readonly at: number;
}

/** Longer than a create takes between its claim and its head. */
const CREATING_MS = 60_000;

/** And than it takes where nobody can have taken the claim over yet, on any clock. */
const IN_TIME_MS = 30_000;

const TRIES = 3;

/**
 * Claims it before the head is written; a create that is repeated claims it anew, or its time would be over before its
 * head is there. Throws `Conflict` when another environment has it, or nobody can read who has.
 */
export async function claimLabel(ctx: Context<"table">, label: string, uid: string, environment: Key): Promise<void> {
  const at = ctx.clock.now();
  let claim: HostClaim = { ...hostKey(label), writers: [], kind: "host", uid, key: keyText(environment), at };
  for (let left = TRIES; left > 0; left--) {
    if (await writeRecord(ctx, claim)) return;
    const known = await unlessUnreadable(ctx, async () => (await findClaim(ctx, label)) ?? "free");
    if (!known || !(known === "free" || known.uid === uid || (await isLeft(ctx, known, at)))) break;
    claim = { ...claim, writers: known === "free" ? [] : known.writers };
  }
  throw new Conflict("host label");
}

/**
 * To be called once the head is written: a create that slept may have lost its claim, and nobody takes it over after this.
 * Throws `Conflict` when another environment has it.
 */
export async function confirmLabel(
  ctx: Context<"table">,
  label: string,
  { uid, ...key }: Pick<Environment, "pk" | "sk" | "uid">,
  claimedAt: number,
): Promise<void> {
  if (ctx.clock.now() - claimedAt > IN_TIME_MS) await claimLabel(ctx, label, uid, key);
}

/** Gives it back at the end of the environment that has it; nothing happens when another has it. */
export async function releaseLabel(ctx: Context<"table">, label: string, uid: string): Promise<void> {
  const item = await ctx.table.get(hostKey(label));
  if (item?.uid === uid && !(await removeRecord(ctx, item))) throw new Conflict("host label");
}

/**
 * This owner's environment under a part of a host name. Another owner's is simply not there, by the same one read: the
 * key in a claim says whose it is.
 */
export async function findAddressed(
  ctx: Context<"table">,
  owner: string,
  label: string,
): Promise<Environment | undefined> {
  return findClaimed(ctx, label, `owner#${owner}#`);
}

/**
 * Returns the active environment of any owner under a label whose page asks for its own password. Such a page is open to
 * every visitor who knows its name.
 */
export async function findPageWithLogin(ctx: Context<"table">, label: string): Promise<Environment | undefined> {
  const environment = await findClaimed(ctx, label, "owner#");
  const page = environment?.run.ports.find(({ kind }) => kind === "http");
  return environment?.phase === "active" && page?.hasLogin ? environment : undefined;
}

/** Returns the environment under a label if its record is in a partition that begins so. */
async function findClaimed(ctx: Context<"table">, label: string, partition: string): Promise<Environment | undefined> {
  const claim = await ctx.table.get(hostKey(label));
  const key = keyOfText(String(claim?.key));
  const item = key?.pk.startsWith(partition) ? await ctx.table.get(key) : undefined;
  if (!item || item.uid !== claim?.uid) return undefined;
  const environment = parseEnvironment(item);
  return environment.phase === "deleted" ? undefined : environment;
}

async function findClaim(ctx: Context<"table">, label: string): Promise<HostClaim | undefined> {
  const item = await ctx.table.get(hostKey(label));
  return item && parseClaim(item);
}

const parseClaim: (item: Item) => HostClaim = parserOf(
  "host",
  { uid: isUid, key: text, at: number },
  { "it names no environment": ({ key }) => keyOfText(key) !== undefined },
);

/**
 * A create that died between the two writes left a claim for a head that never came. A head that cannot be read lives:
 * only one that is absent or of another life does not.
 */
async function isLeft(ctx: Context<"table">, claim: HostClaim, now: number): Promise<boolean> {
  const key = keyOfText(claim.key);
  if (!key || now - claim.at <= CREATING_MS) return false;
  const { records, unreadable } = readEach(ctx, await ctx.table.getMany([key]), parseEnvironment);
  return unreadable.size === 0 && records[0]?.uid !== claim.uid;
}
