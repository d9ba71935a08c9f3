import { nameOfRun, type RunId } from "../names.ts";

/** An entry takes some hundred bytes. A run whose pod is forgotten costs a list in place of a read. */
const mostKept = 20_000;

/** The names of the pods that a watch has shown of runs, not what they were like then. */
export interface KnownPods {
  add(id: RunId, name: string): void;
  remove(id: RunId, name: string): void;
  /** The only pod of a run that was shown and is not gone again; undefined: none was, or several were. */
  onlyOf(id: RunId): string | undefined;
}

/** Remembers for looks by which names they can ask for pods. */
export function knownPods(): KnownPods {
  const known = new Map<string, readonly string[]>();
  const othersOf = (run: string, name: string) => (known.get(run) ?? []).filter((one) => one !== name);
  const keep = (run: string, names: readonly string[]) => {
    known.delete(run);
    if (names.length > 0) known.set(run, names);
    const [oldest] = known.keys();
    if (known.size > mostKept && oldest !== undefined) known.delete(oldest);
  };
  return {
    add: (id, name) => keep(nameOfRun(id), [...othersOf(nameOfRun(id), name), name]),
    remove: (id, name) => keep(nameOfRun(id), othersOf(nameOfRun(id), name)),
    onlyOf(id) {
      const [only, ...others] = known.get(nameOfRun(id)) ?? [];
      return others.length === 0 ? only : undefined;
    },
  };
}
