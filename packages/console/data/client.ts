import { Berth } from "../../sdk/berth.ts";
import type { FetchedAnswer, FetchInit } from "../../sdk/transport.ts";

/** How far the server's clock is ahead of this browser's, in ms. */
let clockOffsetMs = 0;

/** Returns the server's time, because a browser's clock may be wrong by a day. */
export function serverNow(): number {
  return Date.now() + clockOffsetMs;
}

interface Kept {
  readonly etag: string;
  readonly text: string;
  readonly readAt: number;
}

/** The last answers that had an `ETag`, by address. */
const kept = new Map<string, Kept>();
const keptAnswers = 50;

/** An older answer is fetched again without its tag, because tags leave out values that change by themselves (`gpu_hours`). */
const longestKeptMs = 60_000;

/** Fetches, and answers a 304 from memory. */
async function fetchKept(url: URL, init: FetchInit): Promise<FetchedAnswer> {
  const last = init.method === "GET" ? kept.get(url.href) : undefined;
  const known = last && performance.now() - last.readAt < longestKeptMs ? last : undefined;
  const headers = known ? { ...init.headers, "if-none-match": known.etag } : init.headers;
  const response = await fetch(url, { ...init, headers, cache: "no-store" });
  readClock(response.headers);
  if (known && response.status === 304) {
    return { ok: true, status: 200, headers: response.headers, text: async () => known.text };
  }
  const etag = response.headers.get("etag");
  if (init.method !== "GET" || !response.ok || etag === null) return response;
  const text = await response.text();
  kept.delete(url.href);
  kept.set(url.href, { etag, text, readAt: performance.now() });
  for (const oldest of kept.keys()) if (kept.size > keptAnswers) kept.delete(oldest);
  return { ok: true, status: response.status, headers: response.headers, text: async () => text };
}

/** A `Date` is exact to a second, so smaller differences mean nothing. */
function readClock(headers: Headers): void {
  const date = Date.parse(headers.get("date") ?? "");
  if (Number.isNaN(date)) return;
  const offsetMs = date - Date.now();
  clockOffsetMs = Math.abs(offsetMs) < 2000 ? 0 : offsetMs;
}

/** The browser sends the session's cookie, so there is no key. */
export const berth = new Berth({ url: location.origin, cookie: true, fetch: fetchKept });

/** Returns the items of a list of the SDK, at most so many of them. */
export async function collect<Item>(items: AsyncIterable<Item>, most = Number.POSITIVE_INFINITY): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) {
    found.push(item);
    if (found.length === most) break;
  }
  return found;
}
