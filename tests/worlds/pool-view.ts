import type { Context } from "#core/context.ts";
import type { QueueSnapshot } from "#core/pools/forecast/estimate-new-job.ts";
import { standingIn } from "#core/pools/forecast/stored-forecast.ts";
import { findLedger } from "#core/pools/ledger/ledger.ts";
import type { Ledger, Pool } from "#core/pools/ledger/record.ts";
import { forecastKey } from "#core/store/keys.ts";

/** A pool assembled from its head and all its ledger items. */
export interface PoolView extends Pool, Pick<Ledger, "nodes" | "granted" | "held"> {
  readonly setAside: readonly { readonly node: string; readonly until: number }[];
}

/** Undefined while no job has requested this type. */
export async function viewPool(ctx: Context<"table">, type: string): Promise<PoolView | undefined> {
  const ledger = await findLedger(ctx, type);
  return ledger && toPoolView(ledger);
}

export function toPoolView({
  pool,
  nodes,
  granted,
  held,
}: Pick<Ledger, "pool" | "nodes" | "granted" | "held">): PoolView {
  const setAside = nodes.flatMap(({ name, asideUntil }) =>
    asideUntil === undefined ? [] : [{ node: name, until: asideUntil }],
  );
  return { ...pool, nodes, granted, held, setAside };
}

/** The stored data for the estimate of one more job. */
export async function viewForecast(
  { table, clock }: Context<"table">,
  type: string,
): Promise<QueueSnapshot | undefined> {
  return standingIn(await table.get(forecastKey(type, null)), clock.now());
}
