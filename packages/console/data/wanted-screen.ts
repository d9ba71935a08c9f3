const itemName = "berth.wanted-screen";

/** A login link works for a minute. After ten minutes the wish is old. */
const longestMs = 10 * 60_000;

/** Keeps the address of a screen that needs a login. A login link opens another tab, so the storage is of all tabs. */
export function keepWantedScreen(path: string): void {
  try {
    localStorage.setItem(itemName, JSON.stringify({ path, at: Date.now() }));
  } catch {
    // A browser that refuses cookies refuses this storage too. The login page says so.
  }
}

/** Returns the path of the screen that the user wanted before the login, and forgets it. The default is `/`. */
export function takeWantedScreen(): string {
  try {
    const { path = "/", at = 0 } = JSON.parse(localStorage.getItem(itemName) ?? "{}") as Partial<Wanted>;
    localStorage.removeItem(itemName);
    const url = new URL(path, location.origin);
    return url.origin === location.origin && Date.now() - at < longestMs ? url.pathname + url.search : "/";
  } catch {
    return "/";
  }
}

interface Wanted {
  readonly path: string;
  readonly at: number;
}
