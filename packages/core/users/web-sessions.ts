import type { Context, UserContext } from "../context.ts";
import type { Item, Stored } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { webCodeKey } from "../store/keys.ts";
import { flag, number, text, uid } from "../store/shape.ts";
import { createParser } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";
import { type IssuedKey, issueKey, refuseWebKey, requireLive } from "./issue.ts";
import { getChainEnd, isLive } from "./keys.ts";
import { findApiKey, findUser, type User } from "./record.ts";

/** `web-code#<sha256>`: a code that logs one browser in, as the owner of the key that asked for it. */
export interface WebCode extends Stored {
  readonly kind: "web-code";
  readonly uid: string;
  readonly username: string;
  /** Hash of the key that asked for the code. The session belongs to the chain of this key. */
  readonly keyHash: string;
  readonly expiresAt: number;
  readonly isUsed: boolean;
  readonly ttl: number;
}

export interface IssuedCode {
  /** The clear code. Only its hash is stored. */
  readonly code: string;
  readonly expiresAt: number;
}

const CODE_MS = 60_000;
const KEPT_SECONDS = 3_600;

/** 256 random bits as base64url. */
const CODE_BYTES = 32;
const codeForm = /^[A-Za-z0-9_-]{43}$/;

/**
 * Issues a code that logs one browser in as the caller. Throws `unauthenticated` once the caller's key has ended, and
 * `conflict` for the key of a browser's session.
 */
export async function issueWebCode(ctx: UserContext<"table">): Promise<IssuedCode> {
  const { keyHash, uid, username } = ctx.actor;
  const now = ctx.clock.now();
  const key = await findApiKey(ctx, keyHash);
  if (!key) throw new Problem("unauthenticated", "Invalid API key");
  requireLive(key, now);
  refuseWebKey(key);
  const code = ctx.ids.secret(CODE_BYTES);
  const record: WebCode = {
    ...webCodeKey(ctx.ids.hash(code)),
    writers: [],
    kind: "web-code",
    uid,
    username,
    keyHash,
    expiresAt: now + CODE_MS,
    isUsed: false,
    ttl: Math.ceil(now / 1000) + KEPT_SECONDS,
  };
  if (!(await writeRecord(ctx, record))) throw new Error("A random code was in use");
  return { code, expiresAt: record.expiresAt };
}

/** Returns the user whom a code logs in, and does not use it up. Throws `unauthenticated` for any other code. */
export async function showWebCode(ctx: Context<"table">, code: string): Promise<Pick<WebCode, "username">> {
  return getWebCode(ctx, code);
}

/**
 * Uses a code up and issues the key of a browser's session. If several calls use the same code, even in different
 * processes, exactly one succeeds. Throws `unauthenticated` if the code, or the key that asked for it, is not valid
 * any more, and `forbidden` for a disabled user.
 */
export async function openWebSession(
  ctx: Context<"table" | "queue">,
  code: string,
): Promise<{ user: User; key: IssuedKey }> {
  const record = await getWebCode(ctx, code);
  if (!(await writeRecord(ctx, { ...record, isUsed: true }))) throw invalidCode();
  const [parent, user] = await Promise.all([findApiKey(ctx, record.keyHash), findUser(ctx, record.uid)]);
  if (!parent || !user || !isLive(parent, ctx.clock.now())) throw invalidCode();
  const chain = { loginAt: parent.loginAt, endsAt: getChainEnd(ctx, parent), isWeb: true } as const;
  return { user, key: await issueKey(ctx, user, parent.role, chain) };
}

async function getWebCode(ctx: Context<"table">, code: string): Promise<WebCode> {
  const item = codeForm.test(code) ? await ctx.table.get(webCodeKey(ctx.ids.hash(code))) : undefined;
  const record = item && parseWebCode(item);
  if (!record || record.isUsed || record.expiresAt <= ctx.clock.now()) throw invalidCode();
  return record;
}

/** Has one text for every cause, so that a guess learns nothing. */
function invalidCode(): Problem {
  return new Problem("unauthenticated", "This code is unknown, used or expired. Get a new one with: berth web");
}

const parseWebCode: (item: Item) => WebCode = createParser("web-code", {
  uid,
  username: text,
  keyHash: text,
  expiresAt: number,
  isUsed: flag,
  ttl: number,
});
