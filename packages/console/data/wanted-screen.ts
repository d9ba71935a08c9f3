import { keptItems } from "./kept-items.ts";

const item = "berth.wanted-screen";

/** A login link works for a minute. After ten minutes the wish is old. */
const longestMs = 10 * 60_000;

interface Wanted {
  readonly path: string;
  readonly at: number;
}

/** Keeps the address of a screen that needs a login. A login link opens another tab, so the storage is of all tabs. */
export function keepWantedScreen(path: string): void {
  keptItems.write("localStorage", item, JSON.stringify({ path, at: Date.now() } satisfies Wanted));
}

/** Returns the path of the screen that the user wanted before the login, and forgets it. The default is `/`. */
export function takeWantedScreen(): string {
  const { path = "/", at = 0 } = keptItems.take<Partial<Wanted>>("localStorage", item) ?? {};
  if (!URL.canParse(path, location.origin)) return "/";
  const url = new URL(path, location.origin);
  return url.origin === location.origin && Date.now() - at < longestMs ? url.pathname + url.search : "/";
}
