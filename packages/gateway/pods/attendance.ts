import type { RunEntry } from "#kubernetes/access/run-entry.ts";
import { askSupervisor } from "#kubernetes/access/tools.ts";
import type { PodSession } from "#kubernetes/exec/pod-session.ts";
import { nameOfRun, type RunId } from "#kubernetes/names.ts";

/** What counts as use of a run while it is open: a session, a web terminal or a connection of a page. */
export interface PodUse {
  add(one: object): unknown;
  delete(one: object): unknown;
}

interface Attended {
  readonly id: RunId;
  readonly uses: Set<object>;
  attending: Promise<PodSession | undefined>;
}

/** A pod without a supervisor, or an API server that restarts, costs one exec in this time. */
const RETRY_MS = 60_000;

/**
 * Makes the supervisor of a pod count one client while a run is in use here. So the worker sees the use of each
 * gateway in the pod, and no gateway writes a record. The supervisor stops counting when the stream of its exec ends.
 */
export function attendance(runs: Pick<RunEntry, "open">): (id: RunId) => PodUse {
  const attended = new Map<string, Attended>();
  const open = async ({ id, uses }: Pick<Attended, "id" | "uses">): Promise<PodSession | undefined> => {
    const attending = await runs.open(id, { words: askSupervisor("attend"), env: {} }).catch(() => undefined);
    for (const stream of [attending?.output, attending?.errors]) stream?.resume();
    void (attending?.ended ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        setTimeout(() => {
          const entry = attended.get(nameOfRun(id));
          if (entry?.uses === uses) entry.attending = open(entry);
        }, RETRY_MS).unref();
      });
    return attending;
  };
  return (id) => ({
    add: (one) => {
      const name = nameOfRun(id);
      const entry = attended.get(name);
      if (entry) return entry.uses.add(one);
      const uses = new Set([one]);
      return attended.set(name, { id, uses, attending: open({ id, uses }) });
    },
    delete: (one) => {
      const entry = attended.get(nameOfRun(id));
      if (!entry?.uses.delete(one) || entry.uses.size > 0) return;
      attended.delete(nameOfRun(id));
      void entry.attending.then((attending) => attending?.input.end());
    },
  });
}
