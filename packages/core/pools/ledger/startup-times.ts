import type { Environment } from "../../environments/record/record.ts";
import { keyText } from "../../store/keys.ts";
import type { Holding, Ledger, MakeableLedger } from "./record.ts";

const MOST_KEPT = 8;
/** EKS allows 30 groups in a cluster by default. */
const MOST_GROUPS = 30;
/** Fewer say little about the next machine. */
const LEAST_LEARNED = 3;

/**
 * Returns the item with the start-up times of the new machines to which holdings have moved, of the type and of their
 * node groups. The first grant of a machine made its group create it; a later one only joined it. Machines that did not
 * come in time are not among them.
 */
export function noteStartups(
  makeable: MakeableLedger,
  before: Pick<Ledger, "nodes" | "held">,
  held: readonly Holding[],
  knownEnvironments: ReadonlyMap<string, Environment>,
): MakeableLedger {
  const nodes = new Map(before.nodes.map((node) => [keyText(node), node]));
  for (const { items } of before.held) for (const item of items) nodes.delete(item);
  const first = new Map<string, Holding>();
  for (const holding of held) {
    for (const item of holding.items) {
      const isNew = (nodes.get(item)?.since ?? 0) >= holding.at;
      if (isNew && holding.at < (first.get(item)?.at ?? Number.POSITIVE_INFINITY)) first.set(item, holding);
    }
  }
  // All machines of a run count once: the record says when the last of them had come.
  const startups = [...new Set(first.values())].flatMap((holding): Startup[] => {
    const { key, at, run, items } = holding;
    const { n, machineAt } = knownEnvironments.get(key)?.run ?? {};
    if (n !== run || machineAt === undefined) return [];
    const groups = new Set(items.filter((item) => first.get(item) === holding).map((item) => nodes.get(item)?.group));
    const [group] = groups.size === 1 ? groups : [];
    // The clock of the host that saw the machine may be behind that of the planner.
    return [{ seconds: Math.max(0, Math.round((machineAt - at) / 1000)), group }];
  });
  return startups.reduce(withStartup, makeable);
}

interface Startup {
  readonly seconds: number;
  /** Absent if the machines are of no group, or of several. */
  readonly group: string | undefined;
}

function withStartup(makeable: MakeableLedger, { seconds, group }: Startup): MakeableLedger {
  const { startupSeconds, groupStartupSeconds: { [group ?? ""]: ofGroup, ...others } = {} } = makeable;
  const next = { ...makeable, startupSeconds: newest(startupSeconds, seconds) };
  if (group === undefined) return next;
  const groups = [...Object.entries(others), [group, newest(ofGroup, seconds)] as const].slice(-MOST_GROUPS);
  return { ...next, groupStartupSeconds: Object.fromEntries(groups) };
}

function newest(before: readonly number[] = [], seconds: number): readonly number[] {
  return [...before, seconds].slice(-MOST_KEPT);
}

/**
 * Returns the time in which three of four recent machines started, ms, or undefined before three have. It is an upper
 * quartile because a start that comes later than promised is worse than one that comes sooner.
 */
export function getLearnedStartupMs(startupSeconds: readonly number[] = []): number | undefined {
  if (startupSeconds.length < LEAST_LEARNED) return undefined;
  const sorted = startupSeconds.toSorted((a, b) => a - b);
  return (sorted[Math.ceil(sorted.length * 0.75) - 1] ?? 0) * 1000;
}
