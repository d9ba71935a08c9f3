import type { RunEntry } from "#kubernetes/access/run-entry.ts";
import { askSupervisor } from "#kubernetes/access/tools.ts";
import type { PodSession } from "#kubernetes/exec/pod-session.ts";
import { parseRunName } from "#kubernetes/names.ts";
import type { Use } from "../ports/use.ts";

interface Attended {
  readonly uses: Set<object>;
  attending: Promise<PodSession | undefined>;
}

/** A pod without a supervisor, or an API server that restarts, costs one exec in this time. */
const RETRY_MS = 60_000;

/**
 * Makes the supervisor of a pod count one client while a run is in use here. So the worker sees the use of each
 * gateway in the pod, and no gateway writes a record. The supervisor stops counting when the stream of its exec ends.
 */
export function attendance(runs: Pick<RunEntry, "open">): (run: string) => Use {
  const attended = new Map<string, Attended>();
  const open = async (run: string, uses: Attended["uses"]): Promise<PodSession | undefined> => {
    const attending = await runs
      .open(parseRunName(run), { words: askSupervisor("attend"), env: {} })
      .catch(() => undefined);
    for (const stream of [attending?.output, attending?.errors]) stream?.resume();
    void (attending?.ended ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        setTimeout(() => {
          const entry = attended.get(run);
          if (entry?.uses === uses) entry.attending = open(run, uses);
        }, RETRY_MS).unref();
      });
    return attending;
  };
  return (run) => ({
    add: (one) => {
      const entry = attended.get(run);
      if (entry) return entry.uses.add(one);
      const uses = new Set([one]);
      return attended.set(run, { uses, attending: open(run, uses) });
    },
    delete: (one) => {
      const entry = attended.get(run);
      if (!entry?.uses.delete(one) || entry.uses.size > 0) return;
      attended.delete(run);
      void entry.attending.then((attending) => attending?.input.end());
    },
  });
}
