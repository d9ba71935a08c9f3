import type { Actor } from "#core/context.ts";
import type { Item, Stored } from "#core/ports/table.ts";
import { Problem } from "#core/problem.ts";
import { connectionKey, openConnectionsKey } from "#core/store/keys.ts";
import { type Check, list, mapping, number, orNull, text } from "#core/store/shape.ts";
import { createParser } from "#core/store/unreadable.ts";
import { removeRecord, type Writing, writeRecords } from "#core/store/write-record.ts";
import { MOST_CONNECTIONS, refuseConnection } from "#http/request/connection-limit.ts";
import type { SocketState, SocketStep } from "#http/socket.ts";

/** WebSocket connection that API Gateway keeps. The record is removed with the connection, or by its `ttl`. */
export interface Connection extends Stored {
  readonly kind: "connection";
  /** Uid of the user, and below the hash of the key. The clear key is never stored. */
  readonly owner: string;
  readonly keyHash: string;
  readonly requestId: string;
  readonly state: SocketState;
  /** Frames to send once the connection is open. */
  readonly firstFrames: readonly string[];
  readonly lastMessage: string | null;
  readonly createdAt: number;
  readonly ttl: number;
}

/** Gateway ids of a user's connections. An id without a record belongs to a closed connection. */
interface OpenConnections extends Stored {
  readonly kind: "connections";
  readonly ids: readonly string[];
  readonly ttl: number;
}

/** API Gateway ends a connection after two hours ("API Gateway quotas"); its last command may run 15 minutes more. */
const LIFE_SECONDS = 3 * 3600;

/** Adds a connection. Throws a Problem if its user has too many. */
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
  // A conflict means that another connection was opened, and their number is limited.
  for (let left = MOST_CONNECTIONS; left >= 0; left -= 1) {
    const open = await findOpen(ctx, actor.uid, now);
    refuseConnection(open.ids.length);
    const withThis: OpenConnections = { ...open, ids: [...open.ids, id], ttl: record.ttl };
    // Both records or none, because a connection outside the list would not be counted.
    if (await writeRecords(ctx, [record, withThis])) return;
  }
  throw new Problem("unavailable", "You are opening shells too fast, try again", { retryAfterSeconds: 1 });
}

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

/** Returns undefined for a closed connection, whose remaining frames are dropped. */
export async function findConnection({ table }: Writing, id: string): Promise<Connection | undefined> {
  const item = await table.get(connectionKey(id));
  return item && parseConnection(item);
}

export async function dropConnection(ctx: Writing, id: string): Promise<void> {
  for (let left = TRIES; left > 0; left -= 1) {
    const item = await ctx.table.get(connectionKey(id));
    if (!item || (await removeRecord(ctx, item))) return;
  }
}

const TRIES = 5;

const value: Check<string | number> = (input) => text(input) || number(input);

/** Throws `Unreadable` for a record that this version did not write. */
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
