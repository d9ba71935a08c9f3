import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiClient } from "../client/api-client.ts";
import { ApiRefused, ApiUnreachable, isExpired, type StatusBody } from "../client/api-error.ts";
import { withQuery } from "../client/exchange.ts";

/** Receiver of the objects of a list and their changes. */
export interface Follower<Item, Kept> {
  /** Saves memory with thousands of pods. */
  keep(item: Item): Kept;
  /** Receives all objects: at the start, and after a gap. */
  listed(items: readonly Kept[]): void;
  changed(type: "ADDED" | "MODIFIED" | "DELETED", item: Kept): void;
  /** Receives the version up to which all changes were passed on. A watch from there misses nothing. */
  reached(version: string): void;
}

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Version to continue from, without a list unless the server has forgotten it. */
  readonly from?: string;
  /** Silence, bookmarks included, after which a watch counts as cut off, ms. */
  readonly silentMs?: number;
  /** Lists nothing: at the start and after a gap, `listed` receives no objects. */
  readonly changesOnly?: true;
}

/** Duration after which the server ends a watch. It sends a bookmark each minute. */
const watchSeconds = 300;
const silentMs = 90_000;
/** Refusals in a row that are retried. */
const mostRefusals = 5;
const pauseMs = { first: 100, longest: 5_000 };

/**
 * Watches a list until the signal aborts, through outages; after 410 it lists again. Returns the version from which
 * another watch can continue. Throws if watching is forbidden.
 */
export async function follow<Item extends Versioned, Kept>(
  client: ApiClient,
  path: string,
  follower: Follower<Item, Kept>,
  options: FollowOptions,
): Promise<string> {
  const { signal } = options;
  let version = "";
  let { from } = options;
  let failures = 0;
  while (!signal.aborted) {
    try {
      if (version === "") {
        version = (await knownVersion(client, path, from)) ?? (await listTo(client, path, follower, options));
        from = undefined;
        follower.reached(version);
      }
      for await (const { type, object } of watchOnce<Item>(client, path, version, options)) {
        failures = 0;
        const { resourceVersion } = object.metadata;
        if (isEarlier(resourceVersion, version)) throw restored(path);
        version = resourceVersion;
        if (type !== "BOOKMARK") follower.changed(type, follower.keep(object));
        follower.reached(version);
      }
    } catch (error) {
      if (isExpired(error)) version = "";
      else if (!isPassing(error, failures) && !signal.aborted) throw error;
    }
    await sleep(Math.min(pauseMs.first * 2 ** failures, pauseMs.longest), undefined, { signal }).catch(() => undefined);
    failures += 1;
  }
  return version;
}

export interface Versioned {
  readonly metadata: { readonly resourceVersion: string };
}

interface WatchEvent<Item> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: Item;
}

/** Compares versions, which only grow (Kubernetes, "API concepts") unless etcd is restored from a backup. */
function isEarlier(left: string, right: string): boolean {
  const areNumbers = /^\d+$/.test(left) && /^\d+$/.test(right);
  return areNumbers && BigInt(left) < BigInt(right);
}

function restored(path: string): ApiRefused {
  return new ApiRefused(`watch ${path.split("?")[0]}`, 410, { reason: "Expired" });
}

/** Returns the version to continue from, or undefined if the server is behind it. */
async function knownVersion(client: ApiClient, path: string, from: string | undefined): Promise<string | undefined> {
  if (from === undefined) return undefined;
  const { metadata } = await client.get<Versioned>(withQuery(path, "limit=1"));
  return isEarlier(metadata.resourceVersion, from) ? undefined : from;
}

async function listTo<Item, Kept>(
  client: ApiClient,
  path: string,
  follower: Follower<Item, Kept>,
  { changesOnly }: FollowOptions,
): Promise<string> {
  if (changesOnly) {
    const { metadata } = await client.get<Versioned>(withQuery(path, "limit=1"));
    follower.listed([]);
    return metadata.resourceVersion;
  }
  const { items, resourceVersion } = await client.list(path, (item: Item) => [follower.keep(item)]);
  follower.listed(items);
  return resourceVersion;
}

/** Yields the events of one watch. Ignores a line that was cut off. */
async function* watchOnce<Item>(
  client: ApiClient,
  path: string,
  from: string,
  options: FollowOptions,
): AsyncGenerator<WatchEvent<Item>> {
  const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=${from}`;
  const response = await client.open(withQuery(path, query), options.signal);
  try {
    for await (const line of listLines(response, options.silentMs ?? silentMs)) {
      const event = toEvent<Item>(line, path);
      // The next watch gets events after the signal.
      if (options.signal.aborted) return;
      yield event;
    }
  } finally {
    response.destroy();
  }
}

/** Limit of a line. etcd stores objects of a few MiB at most. */
const longestLine = 16 * 1024 ** 2;

async function* listLines(response: IncomingMessage, mostSilentMs: number): AsyncGenerator<string> {
  // Parts are joined once per line: joining each part would cost the square of an endless line's length.
  let parts: string[] = [];
  let length = 0;
  response.setEncoding("utf8");
  const silence = setTimeout(() => response.destroy(), mostSilentMs);
  try {
    for await (const part of response) {
      silence.refresh();
      const [first = "", ...others] = String(part).split("\n");
      parts.push(first);
      length += first.length;
      for (const begun of others) {
        yield parts.join("");
        parts = [begun];
        length = begun.length;
      }
      if (length > longestLine) throw new Error("The object is too large");
    }
  } catch {
    throw new ApiUnreachable("watch", "cut off");
  } finally {
    clearTimeout(silence);
  }
}

function toEvent<Item>(line: string, path: string): WatchEvent<Item> {
  const { type, object } = parsed(line);
  if (type !== "ERROR") return { type, object } as WatchEvent<Item>;
  const status = object as StatusBody & { readonly code?: number };
  throw new ApiRefused(`watch ${path.split("?")[0]}`, status.code ?? 500, status);
}

/** Parses a line without the parser's error, which repeats its input, possibly a proxy's text. */
function parsed(line: string): { readonly type?: string; readonly object?: unknown } {
  try {
    const event: unknown = JSON.parse(line);
    if (typeof event === "object" && event !== null) return event;
  } catch {
    // Falls through to the error below.
  }
  throw new ApiUnreachable("watch", "not JSON");
}

/** Reports whether a retry may succeed. An API server that has just started refuses all calls for a moment. */
function isPassing(error: unknown, failures: number): boolean {
  if (error instanceof ApiUnreachable) return true;
  if (!(error instanceof ApiRefused)) return false;
  return error.status >= 500 || error.status === 429 || failures < mostRefusals;
}
