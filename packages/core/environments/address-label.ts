import type { Context, Item, Key, Stored } from "../context.ts";
import { hostKey, keyOfText, keyText } from "../keys.ts";
import { Conflict } from "../problem.ts";
import { readEach } from "../readable.ts";
import { removeRecord, writeRecord } from "../write-record.ts";
import { parseEnvironment } from "./parse.ts";
import type { Environment } from "./record.ts";

/** Who has a part of a host name: global, since host names are. */
interface HostClaim extends Stored {
  readonly kind: "host";
  readonly uid: string;
  /** Of the environment's record, as a message carries it. */
  readonly key: string;
  readonly at: number;
}

/** Longer than a create takes between its claim and its head. */
const CREATING_MS = 60_000;

/** Claims it before the head is written. Throws `Conflict` when another environment has it. */
export async function claimLabel(ctx: Context<"table">, label: string, uid: string, environment: Key): Promise<void> {
  const now = ctx.clock.now();
  const claim: HostClaim = { ...hostKey(label), writers: [], kind: "host", uid, key: keyText(environment), at: now };
  if (await writeRecord(ctx, claim)) return;
  const item = await ctx.table.get(hostKey(label));
  if (item?.uid === uid) return;
  const isLeft = item !== undefined && now - Number(item.at) > CREATING_MS && !(await isLived(ctx, item));
  if (isLeft && (await writeRecord(ctx, { ...claim, writers: item.writers }))) return;
  throw new Conflict("host label");
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
  const claim = await ctx.table.get(hostKey(label));
  const key = keyOfText(String(claim?.key));
  const item = key?.pk.startsWith(`owner#${owner}#`) ? await ctx.table.get(key) : undefined;
  if (!item || item.uid !== claim?.uid) return undefined;
  const environment = parseEnvironment(item);
  return environment.phase === "deleted" ? undefined : environment;
}

/**
 * A create that died between the two writes left a claim for a head that never came. What cannot be read, the claim or
 * the head, lives: only a head that is absent or of another life does not.
 */
async function isLived(ctx: Context<"table">, claim: Item): Promise<boolean> {
  const key = keyOfText(String(claim.key));
  if (!key) return true;
  const { records, unreadable } = readEach(ctx, await ctx.table.getMany([key]), parseEnvironment);
  return unreadable.size > 0 || records[0]?.uid === claim.uid;
}
