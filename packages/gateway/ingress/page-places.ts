/** A browser opens dozens of connections to a page, and each takes one to the API server. */
const MOST_OF_RUN = 512;
/** People of one office may share an address. */
const MOST_OF_VISITOR = 128;

/**
 * Bounds the open requests and WebSockets of each run, and of each visitor without a key there. The returned function
 * takes a place, and returns a function that gives it back. It returns undefined if no place is left.
 */
export function pagePlaces(): (run: string, visitor: string | undefined) => (() => void) | undefined {
  const open = new Map<string, number>();
  const count = (name: string) => open.get(name) ?? 0;
  return (run, visitor) => {
    const ofVisitor = visitor === undefined ? undefined : `${run} ${visitor}`;
    if (count(run) >= MOST_OF_RUN || (ofVisitor !== undefined && count(ofVisitor) >= MOST_OF_VISITOR)) return undefined;
    const names = ofVisitor === undefined ? [run] : [run, ofVisitor];
    for (const name of names) open.set(name, count(name) + 1);
    return () => {
      for (const name of names) {
        if (count(name) > 1) open.set(name, count(name) - 1);
        else open.delete(name);
      }
    };
  };
}
