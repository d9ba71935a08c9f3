import type { Context, UserContext } from "../context.ts";
import type { Item, Stored } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { webCodeKey } from "../store/keys.ts";
import { flag, number, optional, orNull, text, uid } from "../store/shape.ts";
import { createParser } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";
import { type IssuedKey, issueKey, refuseWebKey, requireLive } from "./issue.ts";
import { getChainEnd, isLive } from "./keys.ts";
import { type ApiKey, findApiKey, findUser, type User } from "./record.ts";

/** `web-code#<sha256>`: a code that logs one browser in, as the owner of the key that asked for it. */
export interface WebCode extends Stored {
  readonly kind: "web-code";
  readonly uid: string;
  readonly username: string;
  /** Hash of the key that asked for the code. The session belongs to its chain. Null for a code that begins a chain. */
  readonly keyHash: string | null;
  /** The role of the login that a code without a key stands for. */
  readonly role?: string | undefined;
  readonly issuedAt: number;
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
  const key = await findApiKey(ctx, keyHash);
  if (!key) throw new Problem("unauthenticated", "Invalid API key");
  requireLive(key, ctx.clock.now());
  refuseWebKey(key);
  return putWebCode(ctx, { uid, username, keyHash });
}

/** Issues a code that stands for a login of this user. Only a local stack may, for the person who started it. */
export async function issueLoginCode(
  ctx: Context<"table">,
  { uid, username }: Pick<User, "uid" | "username">,
  role: string,
): Promise<IssuedCode> {
  return putWebCode(ctx, { uid, username, keyHash: null, role });
}

async function putWebCode(
  ctx: Context<"table">,
  origin: Pick<WebCode, "uid" | "username" | "keyHash" | "role">,
): Promise<IssuedCode> {
  const now = ctx.clock.now();
  const code = ctx.ids.secret(CODE_BYTES);
  const record: WebCode = {
    ...webCodeKey(ctx.ids.hash(code)),
    writers: [],
    kind: "web-code",
    ...origin,
    issuedAt: now,
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
  const [login, user] = await Promise.all([findLogin(ctx, record), findUser(ctx, record.uid)]);
  if (!login || !user) throw invalidCode();
  const chain = { loginAt: login.loginAt, endsAt: getChainEnd(ctx, login), isWeb: true } as const;
  return { user, key: await issueKey(ctx, user, login.role, chain) };
}

/** Returns the login that a session comes from, or undefined once the key that asked for the code has ended. */
async function findLogin(
  ctx: Context<"table">,
  { keyHash, issuedAt, role }: WebCode,
): Promise<Pick<ApiKey, "loginAt" | "expiresAt" | "role"> | undefined> {
  if (keyHash === null) return { loginAt: issuedAt, expiresAt: issuedAt, role };
  const key = await findApiKey(ctx, keyHash);
  return key && isLive(key, ctx.clock.now()) ? key : undefined;
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
  keyHash: orNull(text),
  role: optional(text),
  issuedAt: number,
  expiresAt: number,
  isUsed: flag,
  ttl: number,
});
