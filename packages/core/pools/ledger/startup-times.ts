import type { Environment } from "../../environments/record/record.ts";
import { keyText } from "../../store/keys.ts";
import type { Holding, Ledger, MakeableLedger } from "./record.ts";

const MOST_KEPT = 8;
/** Fewer say little about the next machine. */
const LEAST_LEARNED = 3;

/**
 * Returns the item with the start-up times of the new machines to which holdings have moved. The first grant of a
 * machine made its group create it; a later one only joined it. Machines that did not come in time are not among them.
 */
export function noteStartups(
  makeable: MakeableLedger,
  before: Pick<Ledger, "nodes" | "held">,
  held: readonly Holding[],
  knownEnvironments: ReadonlyMap<string, Environment>,
): MakeableLedger {
  const since = new Map(before.nodes.map((node) => [keyText(node), node.since]));
  for (const { items } of before.held) for (const item of items) since.delete(item);
  const waited = new Map<string, number>();
  for (const { key, items, at } of held) {
    const { machineAt } = knownEnvironments.get(key)?.run ?? {};
    if (machineAt === undefined) continue;
    for (const item of items) {
      if ((since.get(item) ?? 0) >= at) waited.set(item, Math.max(machineAt - at, waited.get(item) ?? 0));
    }
  }
  if (waited.size === 0) return makeable;
  const seconds = [...waited.values()].map((ms) => Math.round(ms / 1000));
  return { ...makeable, startups: [...(makeable.startups ?? []), ...seconds].slice(-MOST_KEPT) };
}

/**
 * Returns the time in which three of four recent machines of a pool started, ms, or undefined before three have. It is
 * an upper quartile because a start that comes later than promised is worse than one that comes sooner.
 */
export function getLearnedStartupMs({ startups = [] }: Pick<MakeableLedger, "startups">): number | undefined {
  if (startups.length < LEAST_LEARNED) return undefined;
  const sorted = startups.toSorted((a, b) => a - b);
  return (sorted[Math.ceil(sorted.length * 0.75) - 1] ?? 0) * 1000;
}
