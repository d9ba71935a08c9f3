import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient, KubeObject } from "./client.ts";
import { readText } from "./client.ts";

export interface WatchEvent<Item> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: Item;
}

interface List<Item> {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly Item[];
}

/** Yields the events of one watch, including bookmarks, until it ends or fails or the signal aborts. */
export async function* watchOnce<Item extends KubeObject>(
  client: KubeClient,
  path: string,
  { from, timeoutSeconds = 300, signal }: { from: string; timeoutSeconds?: number; signal?: AbortSignal },
): AsyncGenerator<WatchEvent<Item>> {
  const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${timeoutSeconds}&resourceVersion=${from}`;
  const response = await client.open(`${path}${path.includes("?") ? "&" : "?"}${query}`, signal);
  if (response.statusCode !== 200) throw new Error(`watch ${path}: ${response.statusCode} ${await readText(response)}`);
  for await (const line of listLines(response)) yield JSON.parse(line) as WatchEvent<Item>;
}

async function* listLines(response: IncomingMessage): AsyncGenerator<string> {
  let rest = "";
  response.setEncoding("utf8");
  for await (const part of response) {
    const lines = (rest + part).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

type Change<Item> = (type: "ADDED" | "MODIFIED" | "DELETED", item: Item) => void;

/**
 * Lists, then watches until the signal aborts. After a lost connection or an expired version it lists again, and
 * reports missing objects as deleted.
 */
export async function follow<Item extends KubeObject>(
  client: KubeClient,
  path: string,
  on: Change<Item>,
  signal: AbortSignal,
): Promise<void> {
  const knownItems = new Map<string, Item>();
  const change: Change<Item> = (type, item) => {
    if (type === "DELETED") knownItems.delete(item.metadata.uid);
    else knownItems.set(item.metadata.uid, item);
    on(type, item);
  };
  while (!signal.aborted) {
    try {
      await followOnce(client, path, knownItems, change, signal);
    } catch {
      if (!signal.aborted) await sleep(100);
    }
  }
}

async function followOnce<Item extends KubeObject>(
  client: KubeClient,
  path: string,
  knownItems: ReadonlyMap<string, Item>,
  change: Change<Item>,
  signal: AbortSignal,
): Promise<void> {
  const { status, body } = await client.get<List<Item>>(path);
  if (status !== 200) throw new Error(`list ${path}: ${status}`);
  const listed = new Set(body.items.map(({ metadata }) => metadata.uid));
  for (const [uid, item] of [...knownItems]) if (!listed.has(uid)) change("DELETED", item);
  for (const item of body.items) {
    if (signal.aborted) return;
    change(knownItems.has(item.metadata.uid) ? "MODIFIED" : "ADDED", item);
  }
  let from = body.metadata.resourceVersion;
  while (!signal.aborted) {
    for await (const { type, object } of watchOnce<Item>(client, path, { from, signal })) {
      if (type === "ERROR" || signal.aborted) return;
      from = object.metadata.resourceVersion;
      if (type !== "BOOKMARK") change(type, object);
    }
  }
}
