import { nameOfRun, type RunId } from "../names.ts";

/** Limit of entries, some hundred bytes each. A run whose pod is forgotten costs a list instead of a read. */
const mostKept = 20_000;

/** Names of the pods that a watch has shown. */
export interface KnownPods {
  add(id: RunId, name: string): void;
  remove(id: RunId, name: string): void;
  /** Returns undefined for no pod or several. */
  findOnlyPod(id: RunId): string | undefined;
}

export function knownPods(): KnownPods {
  const podsByRun = new Map<string, readonly string[]>();
  const listOthers = (run: string, name: string) => (podsByRun.get(run) ?? []).filter((podName) => podName !== name);
  const keep = (run: string, names: readonly string[]) => {
    podsByRun.delete(run);
    if (names.length > 0) podsByRun.set(run, names);
    const [oldest] = podsByRun.keys();
    if (podsByRun.size > mostKept && oldest !== undefined) podsByRun.delete(oldest);
  };
  return {
    add: (id, name) => keep(nameOfRun(id), [...listOthers(nameOfRun(id), name), name]),
    remove: (id, name) => keep(nameOfRun(id), listOthers(nameOfRun(id), name)),
    findOnlyPod(id) {
      const [only, ...others] = podsByRun.get(nameOfRun(id)) ?? [];
      return others.length === 0 ? only : undefined;
    },
  };
}
