/** Reads node by node within the time of a call. The next call continues where this one stopped. */
export interface NodeSlices {
  /** Throws the first error if nothing could be read. */
  read<Read>(
    names: readonly string[],
    readNode: (name: string) => Promise<Read>,
    enough: AbortSignal,
  ): Promise<Map<string, Read>>;
}

const AT_ONCE = 16;

export function nodeSlices(): NodeSlices {
  // A new process starts at a random node. Otherwise processes that end early would never reach the last nodes.
  let next: string | undefined;
  return {
    async read<Read>(names: readonly string[], readNode: (name: string) => Promise<Read>, enough: AbortSignal) {
      const sorted = [...names].sort();
      const from = next === undefined ? Math.floor(Math.random() * sorted.length) : firstFrom(sorted, next);
      const order = [...sorted.slice(from), ...sorted.slice(0, from)];
      const found = new Map<string, Read>();
      const errors: unknown[] = [];
      let taken = 0;
      const work = async () => {
        while (taken < order.length && !enough.aborted) {
          const name = order[taken++] ?? "";
          await readNode(name).then(
            (slice) => found.set(name, slice),
            (error: unknown) => errors.push(error),
          );
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      next = order[taken % order.length];
      if (found.size === 0 && errors.length > 0) throw errors[0];
      return found;
    },
  };
}

/** Returns the index of the first name that is not before `name`, or 0. */
function firstFrom(sorted: readonly string[], name: string): number {
  return Math.max(
    0,
    sorted.findIndex((otherName) => otherName >= name),
  );
}
