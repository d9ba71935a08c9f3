import { type Release, startTimes } from "../forecast/future.ts";
import { byAge, fairOrder } from "./fair-order.ts";
import type { FreeNode, FreeUnits, Need } from "./free-units.ts";
import type { Place, PlanInput, Waiting } from "./plan.ts";

/** Where a plan stands once it has given what it could. */
export interface Planned {
  readonly nodes: readonly FreeNode[];
  readonly free: FreeUnits;
  /** Who got nothing. */
  readonly left: readonly Waiting[];
  /** Those of them who do not fit whatever comes free. */
  readonly hopeless: ReadonlySet<string>;
  /** Those of them who may fit once those machines are counted whose ledger items cannot be read. */
  readonly unread: ReadonlySet<string>;
  /** Whether one that does not fit would, if no foreign pods were there. */
  isForeign(need: Need): boolean;
  /** What comes free of all that was occupied before and is given now, the earliest first. */
  releases(): readonly Release[];
  /** Units by owner. */
  readonly usage: Map<string, number>;
  /** How many machines more may be granted that are still to be made. */
  readonly unpinnedLeft: number;
}

/** Position, earliest start and reason of everybody who got nothing: those who fit in the order of their starts first. */
export function placesOf(input: PlanInput, planned: Planned): Place[] {
  const { nodes, free, left, hopeless, unread, usage } = planned;
  const [total, largest] = [free.total(), free.largest()];
  const able = inTurn({ ...input, waiting: left.filter(({ uid }) => !hopeless.has(uid)) }, usage);
  const starts = able.length > 0 ? startTimes(able, planned.releases(), free, input) : new Map<string, number>();
  const why = whyNotOn(planned);
  const isFirst = ({ uid }: Waiting) => uid === input.head;
  const others = left.filter(({ uid }) => hopeless.has(uid)).sort(byAge);
  const ordered = [...others.filter(isFirst), ...able, ...others.filter((entry) => !isFirst(entry))];
  return ordered.map((entry, index) => {
    const { machines, units } = entry.size;
    const base = { uid: entry.uid, position: index + 1, startsAt: starts.get(entry.uid) ?? null };
    if (input.closed) return { ...base, startsAt: null, code: input.closed, needed: machines * units, available: 0 };
    if (unread.has(entry.uid))
      return { ...base, code: "unreadable", needed: machines * units, available: nodes.length };
    if (nodes.length === 0) return { ...base, code: "none", needed: machines * units, available: 0 };
    if (hopeless.has(entry.uid) && planned.isForeign({ machines, units, zone: entry.zone }))
      return { ...base, code: "foreign", needed: machines * units, available: foreignUnits(input) };
    if (hopeless.has(entry.uid)) return { ...base, code: "never", needed: machines * units, available: nodes.length };
    if (total < machines * units) return { ...base, code: "short", needed: machines * units, available: total };
    if (largest < units) return { ...base, code: "split", needed: units, available: largest };
    return { ...base, code: why({ machines, units, zone: entry.zone }), needed: machines * units, available: total };
  });
}

function foreignUnits({ nodes }: PlanInput): number {
  return nodes.reduce((sum, { foreign = 0 }) => sum + foreign, 0);
}

/** Why somebody got nothing although as much is free, some of it on one machine: asked of each need once. */
function whyNotOn({ nodes, free, unpinnedLeft }: Planned): (need: Need) => "elsewhere" | "making" | "behind" {
  const known = new Map<string, "elsewhere" | "making" | "behind">();
  const find = (need: Need) => {
    if (free.find(need, (node) => nodes[node]?.name !== null)) return "behind";
    if (!free.find(need)) return "elsewhere";
    return unpinnedLeft < need.machines ? "making" : "behind";
  };
  return (need) => {
    const key = `${need.machines} ${need.units} ${need.zone ?? ""}`;
    const code = known.get(key) ?? find(need);
    known.set(key, code);
    return code;
  };
}

/** Counts what was given to one for its owner. */
export function charge(usage: Map<string, number>, { owner, size }: Waiting): void {
  usage.set(owner, (usage.get(owner) ?? 0) + size.machines * size.units);
}

/** Each start counts for its owner's next one. */
function inTurn(input: PlanInput, usage: Map<string, number>): Waiting[] {
  const order: Waiting[] = [];
  for (const entry of fairOrder(input, usage)) {
    charge(usage, entry);
    order.push(entry);
  }
  return order;
}
