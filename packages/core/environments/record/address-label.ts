import type { Context } from "../../context.ts";
import type { Item, Key, Stored } from "../../ports/table.ts";
import { Conflict } from "../../problem.ts";
import { hostKey, keyOfText, keyText } from "../../store/keys.ts";
import { readEach, unlessUnreadable } from "../../store/readable.ts";
import { uid as isUid, number, text } from "../../store/shape.ts";
import { createParser } from "../../store/unreadable.ts";
import { removeRecord, writeRecord } from "../../store/write-record.ts";
import { isJupyterHost } from "./jupyter-label.ts";
import { parseEnvironment } from "./parse.ts";
import type { Environment } from "./record.ts";

interface HostClaim extends Stored {
  readonly kind: "host";
  readonly uid: string;
  readonly key: string;
  readonly at: number;
}

/** Longer than a create takes between its claim and its head. */
const CREATING_MS = 60_000;

/** A create that reaches its head within this time still has its claim, despite clock skew. */
const IN_TIME_MS = 30_000;

const TRIES = 3;

/**
 * Claims the label before the head is written; a repeated create renews the claim. Throws `Conflict` if another
 * environment has it or the claim is unreadable.
 */
export async function claimLabel(ctx: Context<"table">, label: string, uid: string, environment: Key): Promise<void> {
  const at = ctx.clock.now();
  let claim: HostClaim = { ...hostKey(label), writers: [], kind: "host", uid, key: keyText(environment), at };
  for (let left = TRIES; left > 0; left--) {
    if (await writeRecord(ctx, claim)) return;
    const existingClaim = await unlessUnreadable(ctx, async () => (await findClaim(ctx, label)) ?? "free");
    if (
      !existingClaim ||
      !(existingClaim === "free" || existingClaim.uid === uid || (await isLeft(ctx, existingClaim, at)))
    )
      break;
    claim = { ...claim, writers: existingClaim === "free" ? [] : existingClaim.writers };
  }
  throw new Conflict("host label");
}

/** Renews the claim of a slow create once its head exists. Throws `Conflict` if another environment has the label. */
export async function confirmLabel(
  ctx: Context<"table">,
  label: string,
  { uid, ...key }: Pick<Environment, "pk" | "sk" | "uid">,
  claimedAt: number,
): Promise<void> {
  if (ctx.clock.now() - claimedAt > IN_TIME_MS) await claimLabel(ctx, label, uid, key);
}

/** Releases the label unless another environment has it. */
export async function releaseLabel(ctx: Context<"table">, label: string, uid: string): Promise<void> {
  const item = await ctx.table.get(hostKey(label));
  if (item?.uid === uid && !(await removeRecord(ctx, item))) throw new Conflict("host label");
}

/** Returns this owner's environment under a label. Another owner's costs the same single read as a missing one. */
export async function findAddressed(
  ctx: Context<"table">,
  owner: string,
  label: string,
): Promise<Environment | undefined> {
  return findClaimed(ctx, label, `owner#${owner}#`);
}

/**
 * Returns any owner's active environment under a label if its page has a login, and is thus open to every visitor.
 * Jupyter asks for its token.
 */
export async function findPageWithLogin(ctx: Context<"table">, label: string): Promise<Environment | undefined> {
  const environment = await findClaimed(ctx, label, "owner#");
  if (environment?.phase !== "active") return undefined;
  const page = environment.run.ports.find(({ kind }) => kind === "http");
  return page?.hasLogin || isJupyterHost(ctx, environment) ? environment : undefined;
}

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

const parseClaim: (item: Item) => HostClaim = createParser(
  "host",
  { uid: isUid, key: text, at: number },
  { "it names no environment": ({ key }) => keyOfText(key) !== undefined },
);

/** Reports whether a create died before writing its head. An unreadable head counts as alive. */
async function isLeft(ctx: Context<"table">, claim: HostClaim, now: number): Promise<boolean> {
  const key = keyOfText(claim.key);
  if (!key || now - claim.at <= CREATING_MS) return false;
  const { records, unreadable } = readEach(ctx, await ctx.table.getMany([key]), parseEnvironment);
  return unreadable.size === 0 && records[0]?.uid !== claim.uid;
}
