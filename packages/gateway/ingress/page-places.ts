import type { TakeStream } from "../ports/stream-places.ts";

/** A browser opens dozens of connections to a page, and each takes one to the API server. */
const MOST_OF_RUN = 512;
/** People of one office may share an address. */
const MOST_OF_VISITOR = 128;
/** The rest is the owner's, because a visitor may keep a place by a WebSocket for as long as it likes. */
const MOST_OF_VISITORS = 384;

/**
 * Bounds the open requests and WebSockets of each run, of all its visitors without a key, and of each of them. The
 * returned function takes a place, and returns a function that gives it back. It returns undefined if no place is left.
 * `takeStream` counts all streams of the replica.
 */
export function pagePlaces(
  takeStream?: TakeStream,
): (run: string, visitor: string | undefined) => (() => void) | undefined {
  const open = new Map<string, number>();
  const count = (name: string) => open.get(name) ?? 0;
  return (run, visitor) => {
    const bounds = new Map([[run, MOST_OF_RUN]]);
    if (visitor !== undefined) bounds.set(`${run} `, MOST_OF_VISITORS).set(`${run} ${visitor}`, MOST_OF_VISITOR);
    for (const [name, most] of bounds) if (count(name) >= most) return undefined;
    const giveBackStream = tryTake(takeStream, run, visitor !== undefined);
    if (!giveBackStream) return undefined;
    const names = [...bounds.keys()];
    for (const name of names) open.set(name, count(name) + 1);
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      giveBackStream();
      for (const name of names) {
        if (count(name) > 1) open.set(name, count(name) - 1);
        else open.delete(name);
      }
    };
  };
}

function tryTake(take: TakeStream | undefined, run: string, isVisitor: boolean): (() => void) | undefined {
  try {
    return take?.(run, isVisitor) ?? (() => undefined);
  } catch {
    return undefined;
  }
}
