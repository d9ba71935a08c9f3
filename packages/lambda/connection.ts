import type { Actor } from "#core/context.ts";
import type { Item, Stored } from "#core/ports/table.ts";
import { Problem } from "#core/problem.ts";
import { connectionKey, openConnectionsKey } from "#core/store/keys.ts";
import { type Check, list, mapping, number, orNull, text } from "#core/store/shape.ts";
import { createParser } from "#core/store/unreadable.ts";
import { removeRecord, type Writing, writeRecords } from "#core/store/write-record.ts";
import { MOST_CONNECTIONS, refuseConnection } from "#http/request/connection-limit.ts";
import type { SocketState, SocketStep } from "#http/socket.ts";

/** One WebSocket that API Gateway keeps. It ends with the connection, or by its `ttl`. */
export interface Connection extends Stored {
  readonly kind: "connection";
  /** The uid of its user, and the hash of the key that it was opened with; the clear key is nowhere. */
  readonly owner: string;
  readonly keyHash: string;
  /** The id of the request that opened it. */
  readonly requestId: string;
  readonly state: SocketState;
  /** Sent once it stands. */
  readonly firstFrames: readonly string[];
  /** The message that was dealt with last. */
  readonly lastMessage: string | null;
  readonly createdAt: number;
  readonly ttl: number;
}

/** The gateway's ids of the connections of one user. One of them whose record is gone has ended. */
interface OpenConnections extends Stored {
  readonly kind: "connections";
  readonly ids: readonly string[];
  readonly ttl: number;
}

/** API Gateway ends a connection after two hours ("API Gateway quotas"); its last command may take a quarter more. */
const LIFE_SECONDS = 3 * 3600;

/** Throws a Problem in words where its user has too many. */
export async function addConnection(
  ctx: Writing,
  id: string,
  { begun, actor, requestId, now }: NewConnection,
): Promise<void> {
  const record: Connection = {
    ...connectionKey(id),
    writers: [],
    kind: "connection",
    owner: actor.uid,
    keyHash: actor.keyHash,
    requestId,
    state: begun.state,
    firstFrames: begun.frames.map((frame) => JSON.stringify(frame)),
    lastMessage: null,
    createdAt: now,
    ttl: Math.ceil(now / 1000) + LIFE_SECONDS,
  };
  // Each lost write means that another connection was opened, and only so many may be.
  for (let left = MOST_CONNECTIONS; left >= 0; left -= 1) {
    const open = await findOpen(ctx, actor.uid, now);
    refuseConnection(open.ids.length);
    const withThis: OpenConnections = { ...open, ids: [...open.ids, id], ttl: record.ttl };
    // Both records or none, because a connection outside the list would not be counted.
    if (await writeRecords(ctx, [record, withThis])) return;
  }
  throw new Problem("unavailable", "Your shells are changing too fast, try again", { retryAfterSeconds: 1 });
}

/** The connections of this user without those that have ended. */
async function findOpen({ table }: Writing, owner: string, now: number): Promise<OpenConnections> {
  const key = openConnectionsKey(owner);
  const item = await table.get(key);
  const found: OpenConnections = item ? parseOpen(item) : { ...key, writers: [], kind: "connections", ids: [], ttl: 0 };
  const records = await table.getMany(found.ids.map(connectionKey));
  // DynamoDB removes items hours after their `ttl`.
  const open = new Set(records.filter(({ ttl }) => Number(ttl) * 1000 > now).map(({ pk }) => pk));
  return { ...found, ids: found.ids.filter((id) => open.has(connectionKey(id).pk)) };
}

interface NewConnection {
  readonly begun: SocketStep;
  readonly actor: Actor;
  readonly requestId: string;
  readonly now: number;
}

/** Returns undefined for a closed connection. Its remaining frames are then dropped. */
export async function findConnection({ table }: Writing, id: string): Promise<Connection | undefined> {
  const item = await table.get(connectionKey(id));
  return item && parseConnection(item);
}

/** Nothing happens where it is gone already. */
export async function dropConnection(ctx: Writing, id: string): Promise<void> {
  for (let left = TRIES; left > 0; left -= 1) {
    const item = await ctx.table.get(connectionKey(id));
    if (!item || (await removeRecord(ctx, item))) return;
  }
}

const TRIES = 5;

const value: Check<string | number> = (input) => text(input) || number(input);

/** Throws `Unreadable` for anything that this version did not write. */
const parseConnection: (item: Item) => Connection = createParser("connection", {
  owner: text,
  keyHash: text,
  requestId: text,
  state: mapping(value),
  firstFrames: list(text),
  lastMessage: orNull(text),
  createdAt: number,
  ttl: number,
});

const parseOpen: (item: Item) => OpenConnections = createParser("connections", { ids: list(text), ttl: number });
