import { buildLedger } from "#core/pools/ledger/ledger.ts";
import type { LedgerItem, MakeableLedger, NodeLedger, Pool } from "#core/pools/ledger/record.ts";
import type { Key } from "#core/ports/table.ts";
import { keyText, makeableKey } from "#core/store/keys.ts";
import { type PoolView, toPoolView } from "../../worlds/pool-view.ts";

/** Assembles the pools from the items of their ledgers. */
export interface LedgerWatch {
  wrote(next: Pool | LedgerItem): void;
  removed(key: Key): void;
  find(key: Key): Pool | LedgerItem | undefined;
  findType(key: Key): string | undefined;
  /** Pools whose head was written. */
  pools(): ReadonlyMap<string, PoolView>;
  /** Reports whether each ledger item of a grant holds it. */
  isWhole(type: string, grant: string): boolean;
}

export function ledgerWatch(): LedgerWatch {
  const heads = new Map<string, Pool>();
  const items = new Map<string, Map<string, LedgerItem>>();
  const views = new Map<string, PoolView>();

  function draw(type: string): void {
    const pool = heads.get(type);
    if (!pool) return;
    const all = [...(items.get(type)?.values() ?? [])];
    const nodes = all.filter((item): item is NodeLedger => item.kind === "node");
    const none: MakeableLedger = { ...makeableKey(type), writers: [], kind: "makeable", type, granted: [], held: [] };
    const makeable = all.find((item): item is MakeableLedger => item.kind === "makeable") ?? none;
    views.set(type, toPoolView(buildLedger(pool, nodes, makeable)));
  }

  function typeOf({ pk }: Key): string | undefined {
    return /^pool#([^#]+)#/.exec(pk)?.[1];
  }

  return {
    wrote(next) {
      if (next.kind === "pool") heads.set(next.type, next);
      else {
        const ofType = items.get(next.type) ?? new Map<string, LedgerItem>();
        items.set(next.type, ofType.set(keyText(next), next));
      }
      draw(next.type);
    },
    removed(key) {
      const type = typeOf(key);
      if (type === undefined) return;
      items.get(type)?.delete(keyText(key));
      draw(type);
    },
    find: (key) => items.get(typeOf(key) ?? "")?.get(keyText(key)) ?? heads.get(key.pk.slice("pool#".length)),
    findType: typeOf,
    pools: () => views,
    isWhole(type, grant) {
      const view = views.get(type);
      const entry = [...(view?.held ?? []), ...(view?.granted ?? [])].find(({ id }) => id === grant);
      return (
        entry?.items.every((key) => {
          const item = items.get(type)?.get(key);
          return item ? [...item.granted, ...item.held].some((entry) => entry.grant === grant) : false;
        }) ?? false
      );
    },
  };
}
