import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiClient } from "../client/api-client.ts";
import { ApiRefused, ApiUnreachable, isExpired, type StatusBody } from "../client/api-error.ts";
import { withQuery } from "../client/exchange.ts";

/** Whoever is told what is at a list, and what becomes of it. */
export interface Follower<Item, Kept> {
  /** What is kept of an object: of ten thousand pods not all of each. */
  keep(item: Item): Kept;
  /** All that there is: at the beginning, and where it is not known what was missed. */
  listed(items: readonly Kept[]): void;
  changed(type: "ADDED" | "MODIFIED" | "DELETED", item: Kept): void;
  /** All up to this version was told: whoever follows from there misses nothing. */
  reached(version: string): void;
}

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Goes on from this version, where somebody else left off; nothing is listed unless the server has forgotten it. */
  readonly from?: string;
  /** A watch on which nothing came for so long, bookmarks included, was cut off unseen. */
  readonly silentMs?: number;
  /** Whether events have only the metadata of their objects. */
  readonly metadataOnly?: true;
}

/** The server ends a watch after this by itself, and says each minute up to where it has told. */
const watchSeconds = 300;
const silentMs = 90_000;
/** So often in a row it may be refused before that is an answer. */
const mostRefusals = 5;
const pauseMs = { first: 100, longest: 5_000 };

/**
 * Watches a list until the signal comes, through cut connections, an API server that is away, and versions that it has
 * forgotten (410): then it lists again. Answers the version from which somebody else may go on. Throws where it is not
 * allowed to.
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
        version = (await knownVersion(client, path, from)) ?? (await listTo(client, path, follower));
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

/**
 * Versions are numbers that only grow (Kubernetes, "API concepts", resource versions), until somebody puts a backup of the
 * store back: a watch from a version that is still to come would be silent for as long.
 */
function isEarlier(left: string, right: string): boolean {
  const areNumbers = /^\d+$/.test(left) && /^\d+$/.test(right);
  return areNumbers && BigInt(left) < BigInt(right);
}

function restored(path: string): ApiRefused {
  return new ApiRefused(`watch ${path.split("?")[0]}`, 410, { reason: "Expired" });
}

/** The version to go on from; undefined where the server is behind it. */
async function knownVersion(client: ApiClient, path: string, from: string | undefined): Promise<string | undefined> {
  if (from === undefined) return undefined;
  const { metadata } = await client.get<Versioned>(withQuery(path, "limit=1"));
  return isEarlier(metadata.resourceVersion, from) ? undefined : from;
}

async function listTo<Item, Kept>(client: ApiClient, path: string, follower: Follower<Item, Kept>): Promise<string> {
  const { items, resourceVersion } = await client.list(path, (item: Item) => [follower.keep(item)]);
  follower.listed(items);
  return resourceVersion;
}

/** The events of one watch. A line that was cut off is none. */
async function* watchOnce<Item>(
  client: ApiClient,
  path: string,
  from: string,
  options: FollowOptions,
): AsyncGenerator<WatchEvent<Item>> {
  const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=${from}`;
  const response = await client.open(withQuery(path, query), options.signal, options.metadataOnly && "metadata");
  try {
    for await (const line of listLines(response, options.silentMs ?? silentMs)) {
      const event = toEvent<Item>(line, path);
      // What came after the signal is left to whoever goes on.
      if (options.signal.aborted) return;
      yield event;
    }
  } finally {
    response.destroy();
  }
}

/** The store takes objects of a few MiB at most. */
const longestLine = 16 * 1024 ** 2;

async function* listLines(response: IncomingMessage, mostSilentMs: number): AsyncGenerator<string> {
  // Joined once, when the line ends: joined at each part, an endless line costs the square of its length.
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
      if (length > longestLine) throw new Error("No object is so large");
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

/** Without the parser's own error, which repeats what it read: a proxy may put words of its own into the stream. */
function parsed(line: string): { readonly type?: string; readonly object?: unknown } {
  try {
    const event: unknown = JSON.parse(line);
    if (typeof event === "object" && event !== null) return event;
  } catch {
    // Said below.
  }
  throw new ApiUnreachable("watch", "not JSON");
}

/**
 * No answer, or an API server in trouble. One that has just started refuses everybody for a moment, since it does not
 * know yet who may do what.
 */
function isPassing(error: unknown, failures: number): boolean {
  if (error instanceof ApiUnreachable) return true;
  if (!(error instanceof ApiRefused)) return false;
  return error.status >= 500 || error.status === 429 || failures < mostRefusals;
}
