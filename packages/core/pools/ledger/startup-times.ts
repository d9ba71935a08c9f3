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
  const first = new Map<string, Holding>();
  for (const holding of held) {
    for (const item of holding.items) {
      const isNew = (since.get(item) ?? 0) >= holding.at;
      if (isNew && holding.at < (first.get(item)?.at ?? Number.POSITIVE_INFINITY)) first.set(item, holding);
    }
  }
  // All machines of a run count once: the record says when the last of them had come.
  const seconds = [...new Set(first.values())].flatMap(({ key, at, run }) => {
    const { n, machineAt } = knownEnvironments.get(key)?.run ?? {};
    // The clock of the host that saw the machine may be behind that of the planner.
    return n !== run || machineAt === undefined ? [] : [Math.max(0, Math.round((machineAt - at) / 1000))];
  });
  if (seconds.length === 0) return makeable;
  return { ...makeable, startupSeconds: [...(makeable.startupSeconds ?? []), ...seconds].slice(-MOST_KEPT) };
}

/**
 * Returns the time in which three of four recent machines of a pool started, ms, or undefined before three have. It is
 * an upper quartile because a start that comes later than promised is worse than one that comes sooner.
 */
export function getLearnedStartupMs({
  startupSeconds = [],
}: Pick<MakeableLedger, "startupSeconds">): number | undefined {
  if (startupSeconds.length < LEAST_LEARNED) return undefined;
  const sorted = startupSeconds.toSorted((a, b) => a - b);
  return (sorted[Math.ceil(sorted.length * 0.75) - 1] ?? 0) * 1000;
}
