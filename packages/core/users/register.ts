import type { Context } from "../context.ts";
import type { Item, Stored } from "../ports/table.ts";
import { getDueShard } from "../store/due.ts";
import { identityKey, listedUserKey, userCounterKey, userKey, usernameKey } from "../store/keys.ts";
import { uid as isUid, ordinal } from "../store/shape.ts";
import { createParser } from "../store/unreadable.ts";
import { changeRecord, writeRecord } from "../store/write-record.ts";
import { findUser, type ListedUser, type NameClaim, parseNameClaim, type User } from "./record.ts";
import { type AssumedRole, usernameFor } from "./username.ts";

interface IdentityClaim extends Stored {
  readonly kind: "identity";
  readonly uid: string;
}

interface Counter extends Stored {
  readonly kind: "counter";
  readonly last: number;
}

/**
 * Finds or creates the user of an AWS identity. The next login completes an interrupted one (docs/apis/common.md#keys).
 */
export async function findOrCreateUser(ctx: Context<"table">, { account, session }: AssumedRole): Promise<User> {
  const identity = ctx.ids.hash(JSON.stringify([account, session]));
  const knownItem = await ctx.table.get(identityKey(identity));
  const user = knownItem && (await findUser(ctx, parseIdentityClaim(knownItem).uid));
  if (user) {
    await listUser(ctx, user);
    return user;
  }
  const { uid, name } = await claimUsername(ctx, session, identity);
  const made = (await findUser(ctx, uid)) ?? (await putUser(ctx, uid, name));
  const claim: IdentityClaim = { ...identityKey(identity), writers: [], kind: "identity", uid };
  await writeRecord(ctx, claim);
  await listUser(ctx, made);
  return made;
}

/** Lists a user for operators. A login that died before this, or was of an older version, is made up for here. */
async function listUser(ctx: Context<"table">, { uid, username }: User): Promise<void> {
  const key = listedUserKey(username);
  if (await ctx.table.get(key)) return;
  const entry: ListedUser = { ...key, writers: [], kind: "listed-user", uid };
  await writeRecord(ctx, entry);
}

/** Throws `Unreadable`: treating an unreadable identity as absent would create a second user for one person. */
const parseIdentityClaim: (item: Item) => IdentityClaim = createParser("identity", { uid: isUid });

/** Suffixes tried by number before the hash is used. */
const SPELLED_ALIKE = 100;

async function claimUsername(
  ctx: Context<"table">,
  session: string,
  identity: string,
): Promise<{ uid: string; name: string }> {
  for (const suffix of suffixesFor(identity)) {
    const name = usernameFor(session, suffix);
    const claim: NameClaim = { ...usernameKey(name), writers: [], kind: "username", uid: ctx.ids.uid(), identity };
    if (await writeRecord(ctx, claim)) return { uid: claim.uid, name };
    const item = await ctx.table.get(usernameKey(name));
    const holder = item && parseNameClaim(item);
    if (holder?.identity === identity) return { uid: holder.uid, name };
  }
  throw new Error("Another identity has the username with the hash of this one");
}

/**
 * Yields the suffixes to try. The last one is unique: session names have at most 64 characters
 * (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html), and the hash alone is that long.
 */
function* suffixesFor(identity: string): Generator<string> {
  yield "";
  for (let n = 2; n <= SPELLED_ALIKE; n++) yield `-${n}`;
  yield `-${identity}`;
}

async function putUser(ctx: Context<"table">, uid: string, username: string): Promise<User> {
  const key = userKey(uid);
  const user: User = {
    ...key,
    writers: [],
    kind: "user",
    uid,
    number: await nextNumber(ctx),
    username,
    disabled: false,
    keys: [],
    revoking: [],
    attempts: 0,
    dueShard: getDueShard(ctx.ids, key),
  };
  const winner = (await writeRecord(ctx, user)) ?? (await findUser(ctx, uid));
  if (!winner) throw new Error(`User ${uid} disappeared`);
  return winner;
}

const COUNTER_TRIES = 50;

/** Throws `Unreadable`: treating an unreadable counter as absent would issue numbers twice. */
const parseCounter: (item: Item) => Counter = createParser("counter", { last: ordinal });

/** Returns the next user number. A login that dies afterwards leaves a gap, which is harmless. */
async function nextNumber(ctx: Context<"table">): Promise<number> {
  const { record } = await changeRecord(ctx, {
    read: () => ctx.table.get(userCounterKey),
    decide: (item) => {
      const last = item ? parseCounter(item).last : 0;
      return { ...item, ...userCounterKey, writers: item?.writers ?? [], kind: "counter", last: last + 1 };
    },
    what: "The number of users is",
    tries: COUNTER_TRIES,
  });
  if (!record) throw new Error("The user counter was not increased");
  return record.last;
}
