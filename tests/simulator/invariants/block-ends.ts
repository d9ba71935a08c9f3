import type { PlannedPart } from "#core/pools/capacity/pool-parts.ts";
import type { MachineGroup } from "#core/ports/machine-groups.ts";
import type { Item } from "#core/ports/table.ts";
import type { Host } from "../scheduler.ts";
import { BLOCK, NOTICE_MS } from "../weather/block.ts";

/** Follows which end of the block the capacity schedule must have planned. */
export interface BlockEndWatch {
  wroteItem(item: Item): void;
  /**
   * Wraps a refresh of the capacity. Once it has succeeded, the end that was listed last is planned. This is unsure if
   * another refresh ran beside it, which may plan an older end, or if it could not read newer records.
   */
  refreshing(host: Host, refresh: () => Promise<void>, isSure: () => boolean): Promise<void>;
}

interface Refresh {
  readonly host: Host;
  readonly life: number;
  isAlone: boolean;
}

export function blockEndWatch(setPlanned: (plan: PlannedPart | undefined) => void): BlockEndWatch {
  const running = new Set<Refresh>();
  let listed: number | undefined;

  function begin(host: Host): Refresh {
    for (const refresh of running) if (refresh.host.life !== refresh.life) running.delete(refresh);
    for (const refresh of running) refresh.isAlone = false;
    const begun = { host, life: host.life, isAlone: running.size === 0 };
    running.add(begun);
    return begun;
  }

  return {
    wroteItem({ kind, groups }) {
      if (kind !== "machine-groups") return;
      const block = (groups as readonly MachineGroup[]).find(({ name }) => name === BLOCK);
      // A block that is over is listed without its end, and stays closed.
      const endsAt = block && (block.endsAt ?? listed);
      if (endsAt === listed) return;
      listed = endsAt;
      setPlanned(undefined);
    },
    async refreshing(host, refresh, isSure) {
      const begun = begin(host);
      try {
        await refresh();
      } finally {
        running.delete(begun);
      }
      if (begun.isAlone && isSure() && listed !== undefined) setPlanned({ nodeGroup: BLOCK, from: listed - NOTICE_MS });
    },
  };
}
