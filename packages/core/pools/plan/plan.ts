import type { Size } from "../../environments/record/record.ts";
import { MOST_MACHINES } from "../../fleet.ts";
import type { Share } from "../../ports/compute.ts";
import { unitsByOwner } from "../ledger/units-by-owner.ts";
import { admit, getNeed } from "./admit.ts";
import { openInput } from "./closings.ts";
import { canEverFit, mayFitUnread, withoutForeign } from "./ever-fits.ts";
import { byNeed, type FreeNode, type FreeUnits, freeUnits, type Need } from "./free-units.ts";
import { allNodes, type NewMachines } from "./new-machines.ts";
import { listPlaces } from "./places.ts";

/** A job that waits for capacity. Times are ms. */
export interface Waiting {
  readonly uid: string;
  readonly owner: string;
  readonly size: Pick<Size, "machines" | "units" | "wantedMs">;
  readonly zone: string | null;
  readonly queuedAt: number;
  /** The mark of its image (machine-images.ts). Absent if only the index was read, which lacks it. */
  readonly image?: string | undefined;
}

/** A job that was granted or holds capacity. `endsAt` is null until it is active. */
export interface Occupied {
  readonly owner: string;
  readonly shares: readonly Share[];
  readonly endsAt: number | null;
  readonly at: number;
  readonly size: Pick<Size, "wantedMs">;
  /** Set if it stands for a new machine that does not come now. */
  readonly isPlaceholder?: true | undefined;
}

export interface PlanNode {
  readonly name: string;
  readonly zone: string;
  /** The name of its node group. Absent if unknown. */
  readonly group?: string | undefined;
  /** Units left by foreign pods. */
  readonly units: number;
  readonly foreign?: number;
  /** Marks of images that it has had. */
  readonly images?: readonly string[] | undefined;
  /** When it closes by a planned drain, ms. */
  readonly closesAt?: number | undefined;
}

export interface PlanInput {
  readonly nodes: readonly PlanNode[];
  readonly occupied: readonly Occupied[];
  readonly waiting: readonly Waiting[];
  /** The machines that each node group may still create, in the order in which the plan fills them. */
  readonly makeable: readonly NewMachines[];
  /** Zones that operators drained. They matter for groups whose zones are unknown. */
  readonly drainedZones?: readonly string[] | undefined;
  /** The machines without the operators' drains, to explain waits. Absent if no part of the pool is drained. */
  readonly undrained?: Pick<PlanInput, "nodes" | "makeable"> | undefined;
  /** Zones in which none can be created now, and when they may be again, ms. */
  readonly lackingZones?: ReadonlyMap<string, number> | undefined;
  /** Zones that lacked machines lately. */
  readonly scarceZones?: ReadonlySet<string> | undefined;
  /** What operators will drain, as text, by the time at which machines close (closings.ts), ms. */
  readonly closings?: ReadonlyMap<number, string> | undefined;
  /** When machines still to be created close that are created in a zone, ms. */
  readonly zonesCloseAt?: ReadonlyMap<string, number> | undefined;
  /** Machines whose ledger items cannot be read. Nothing is granted on them. */
  readonly unreadable?: number;
  readonly unitsPerNode: number;
  readonly startupMs: number;
  /** When machines may be created again, while none comes. `occupied` has them until then. */
  readonly retryAt?: number | undefined;
  /** How many more machines still to be created may be granted. Absent: unlimited. */
  readonly mostUnpinned?: number;
  readonly head: string | null;
  /** Recent use by owner, in unit-hours (usage.ts). It breaks ties between owners who hold the same. */
  readonly used?: ReadonlyMap<string, number> | undefined;
  /** Set while nothing may be granted. Jobs keep their places. */
  readonly closed?: Halt | null | undefined;
  readonly now: number;
}

/** How the operator closed a pool. Existing grants and holdings are kept. */
export const closures = ["drained", "paused"] as const;
export type Closure = (typeof closures)[number];

/** Why nothing may be granted: the operator closed the pool, or its `makeable` item is unreadable. */
export const halts = [...closures, "unreadable"] as const;
export type Halt = (typeof halts)[number];

/** Why a job waits. reasons.ts turns the code into text, with the needed and available units. */
export const reasonCodes = [
  "none",
  "never",
  "foreign",
  "short",
  "split",
  "making",
  "unmade",
  "elsewhere",
  "behind",
  "partDrained",
  "closing",
  ...halts,
] as const;
export type ReasonCode = (typeof reasonCodes)[number];

export interface QueuePlace {
  readonly uid: string;
  /** 1-based, among the jobs that still wait. */
  readonly position: number;
  readonly startsAt: number | null;
  readonly code: ReasonCode;
  /** Requested units: per machine if the code is "split", otherwise in total. */
  readonly needed: number;
  /** Free units, machines ("never", "unreadable"), units of foreign pods ("foreign"), or a time in ms ("unmade", "closing"). */
  readonly available: number;
  /** Why no new machine can be created ("unmade"), or what closes then ("closing"), as text. Absent if unknown. */
  readonly lacks?: string | undefined;
}

export interface Plan {
  readonly grants: readonly PlannedGrant[];
  readonly places: readonly QueuePlace[];
  readonly head: string | null;
  /** How many of the grants came before the head; all without a head. */
  readonly grantsBefore: number;
  /** Leaves out new machines of node groups that lacked machines lately. */
  readonly freeUnits: number;
  /** The same: the free units of the emptiest machines, most first, up to the most machines of a job. */
  readonly mostFree: readonly number[];
}

export interface PlannedGrant {
  readonly uid: string;
  readonly shares: readonly Share[];
  /** Its new machine, if it needs one that may come in any of these zones. Absent if the zones are unknown. */
  readonly created?: { readonly machine: number; readonly zones: readonly string[] } | undefined;
}

/**
 * Plans admission without side effects (docs/architecture/admission.md): grants, and for other jobs position, earliest
 * start and reason. The first job that does not fit is the head and gets a reserved start. Others are backfilled only
 * where they do not delay it. A head that needs machines with unreadable ledger items stays the head without a
 * reservation.
 */
export function plan(input: PlanInput): Plan {
  const pool = allNodes(input);
  const usage = new Map(unitsByOwner(input.occupied));
  const admitted = admit(input, pool, usage);
  const { nodes, free, grants, left, hopeless, reservedFor, grantsBefore } = admitted;
  const mayFit = byNeed((need) => mayFitUnread(nodes, input, need));
  const mayFitInTime = (entry: Waiting) =>
    !input.closings || mayFitUnread(nodes, openInput(input, input.now + entry.size.wantedMs), getNeed(entry));
  const missing = left.filter((entry) => hopeless.has(entry.uid) && mayFit(getNeed(entry)) && mayFitInTime(entry));
  const unread = new Set(missing.map(({ uid }) => uid));
  const head = input.head !== null && unread.has(input.head) ? input.head : reservedFor;
  const withForeign = { ...input, nodes: input.nodes.map(withoutForeign) };
  const isForeign = byNeed((need) => canEverFit(nodes, withForeign, need));
  const isDrained = input.undrained
    ? byNeed(drainCheck(input, input.undrained, admitted, { nodes, free }))
    : () => false;
  const places = listPlaces({ ...input, head }, { ...admitted, unread, usage, isForeign, isDrained });
  const shown = withoutLacking(nodes, free);
  return { grants, places, head, grantsBefore, freeUnits: shown.total(), mostFree: shown.most(MOST_MACHINES) };
}

/** Returns the free units without those of groups that lacked machines lately: none may come there. */
function withoutLacking(nodes: readonly FreeNode[], free: FreeUnits): FreeUnits {
  if (!nodes.some(({ isLacking }) => isLacking)) return free;
  return freeUnits(nodes.map((node, index) => ({ ...node, free: node.isLacking ? 0 : free.freeOn(index) })));
}

/** Returns a check whether only the drain of a part keeps a need from starting, now or ever. */
function drainCheck(
  input: PlanInput,
  undrained: NonNullable<PlanInput["undrained"]>,
  { grants }: Pick<Plan, "grants">,
  { nodes, free }: { readonly nodes: readonly FreeNode[]; readonly free: FreeUnits },
): (need: Need) => boolean {
  const open = { ...input, ...undrained, drainedZones: undefined };
  let found: { readonly nodes: readonly FreeNode[]; readonly free: FreeUnits } | undefined;
  const read = () => {
    if (found) return found;
    const all = allNodes({ ...open, occupied: [...input.occupied, ...grants] }).nodes;
    found = { nodes: all, free: freeUnits(all) };
    return found;
  };
  return (need) => {
    if (free.find(need)) return false;
    if (read().free.find(need)) return true;
    return !canEverFit(nodes, input, need) && canEverFit(read().nodes, open, need);
  };
}
