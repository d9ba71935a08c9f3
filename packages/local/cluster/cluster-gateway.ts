import { RunGone } from "#core/problem.ts";
import { podReach } from "#gateway/pods/pod-reach.ts";
import type { GatewayPorts } from "#gateway/ports/reach.ts";
import type { Use } from "#gateway/ports/use.ts";
import type { RunEntry } from "#kubernetes/access/run-entry.ts";
import { nameOfRun } from "#kubernetes/names.ts";
import type { ClusterEntries, Entry } from "./cluster-entries.ts";

interface ClusterPorts extends GatewayPorts {
  /** Uses of a run by connections of its pages. A run that has ended counts none. */
  readonly getUse: (run: string) => Use;
}

/** Leads the gateway to the pods of this stack, by the keys that its home keeps. */
export function clusterPorts(entries: ClusterEntries, runs: RunEntry): ClusterPorts {
  const getEntry = (name: string): Entry => {
    const entry = entries.find(name);
    if (!entry || entry.isOver) throw new RunGone();
    return entry;
  };
  return {
    directory: {
      find: async (login) =>
        entries.all().flatMap(({ id, isOver, kept: { access } }) => {
          return access?.login === login && !isOver ? [{ name: nameOfRun(id), keys: access.keys }] : [];
        }),
      admits: async ({ run }, key) => {
        const entry = entries.find(run);
        return entry !== undefined && !entry.isOver && (entry.kept.access?.keys.includes(key) ?? false);
      },
      findEnded: async (login) => entries.findEnded(login),
      findNotice: async ({ run }) => entries.find(run)?.notice,
      hasNoDisk: async ({ run }) => entries.find(run)?.kept.hasNoDisk === true,
    },
    reach: podReach(runs, getEntry),
    getUse: (run) => entries.find(run)?.pages ?? new Set(),
  };
}
