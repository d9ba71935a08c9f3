import type { NodeLedger } from "#core/pools/ledger/record.ts";
import type { ComputeNode } from "#core/ports/compute.ts";
import type { MemoryCompute } from "../../fakes/memory-compute.ts";
import type { PoolView } from "../../worlds/pool-view.ts";
import type { Host } from "../scheduler.ts";

/** Checks that a listing of the watch leaves the machines in the ledger as they are in the cluster. */
export interface ListingWatch {
  /** Notes that some nodes changed. */
  changed(): void;
  /** Wraps the refresh by the schedule, which may write beside one of the watch. */
  refreshing(host: Host, refresh: () => Promise<void>): Promise<void>;
  /**
   * Wraps a refresh of these machines by the watch, or of all. `isSure`: it has written all, and could read all. It is
   * unsure if another refresh ran beside it, or if nodes changed meanwhile.
   */
  listing(host: Host, refresh: () => Promise<void>, options: ListingOptions): Promise<void>;
}

interface ListingOptions {
  readonly names: ReadonlySet<string> | undefined;
  readonly isSure: () => boolean;
}

interface Refresh {
  readonly host: Host;
  readonly life: number;
  isAlone: boolean;
}

export function listingWatch(options: {
  readonly compute: Pick<MemoryCompute, "listNodes">;
  readonly pools: () => ReadonlyMap<string, PoolView>;
  readonly hasUnreadable: () => boolean;
  readonly violated: (text: string) => void;
}): ListingWatch {
  const { compute, pools, hasUnreadable, violated } = options;
  const running = new Set<Refresh>();

  /** A refresh of a crashed host makes no more calls. */
  function begin(host: Host): Refresh {
    for (const refresh of running) if (refresh.host.life !== refresh.life) running.delete(refresh);
    for (const refresh of running) refresh.isAlone = false;
    const begun = { host, life: host.life, isAlone: running.size === 0 };
    running.add(begun);
    return begun;
  }

  function check(name: string, node: ComputeNode | undefined): void {
    const entries = [...pools().values()].flatMap(({ nodes }) => nodes.filter((known) => known.name === name));
    const why = entries.length > 1 ? undefined : findDifference(entries[0], node);
    if (why) violated(`the ledger says that ${name} is ${why} right after a listing of it`);
  }

  /** Returns how the ledger's item differs from the node. A plan may find a machine silent after the listing. */
  function findDifference(entry: NodeLedger | undefined, node: ComputeNode | undefined): string | undefined {
    const isThere = entry !== undefined && !entry.gone;
    if (!node || node.units === 0) return isThere && entry.ready ? "ready" : undefined;
    if (!entry) return hasUnreadable() ? undefined : "missing";
    if (entry.uid !== node.uid || entry.saidAt !== undefined) return undefined;
    if (entry.ready !== node.ready && (entry.ready || entry.unready !== "notReady"))
      return entry.ready ? "ready" : "not ready";
    return undefined;
  }

  return {
    changed() {
      for (const refresh of running) refresh.isAlone = false;
    },
    async refreshing(host, refresh) {
      const begun = begin(host);
      try {
        await refresh();
      } finally {
        running.delete(begun);
      }
    },
    async listing(host, refresh, { names, isSure }) {
      const begun = begin(host);
      try {
        await refresh();
      } finally {
        running.delete(begun);
      }
      if (!begun.isAlone || !isSure()) return;
      const nodes = new Map((await compute.listNodes()).map((node) => [node.name, node]));
      for (const name of names ?? nodes.keys()) check(name, nodes.get(name));
    },
  };
}
