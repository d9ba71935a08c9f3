import type { Environment } from "#core/environments/record/record.ts";
import type { ComputeNode } from "#core/ports/compute.ts";
import type { ReconcileRequest } from "#core/ports/queue.ts";
import type { Settings } from "#core/settings.ts";
import type { MemoryCompute } from "../fakes/memory-compute.ts";
import type { StepDelays } from "../fakes/memory-run.ts";
import { newNodes } from "../worlds/memory-world.ts";
import type { WatchOptions } from "./invariants/invariants.ts";
import type { Scheduler } from "./scheduler.ts";
import { withBlock } from "./weather/block.ts";
import {
  drawnGroupsWithBlock,
  drawnZones,
  groupsByZone,
  groupsWithWide,
  type Lacks,
  type ListedGroup,
  longLacks,
  shortLacks,
  simulatedGroup,
  zonedGroup,
} from "./weather/node-group.ts";
import { drawnVolumes, type VolumeTimes } from "./weather/volume-weather.ts";
import type { Part } from "./weather/weather.ts";

/** Share of worlds in which a started run takes long to become ready, so it can be lost before. */
const SLOW = 0.11;
const DEAF = 0.1;
/** Share of worlds with a node group that creates machines. */
const GROUP = 0.1;
const SLOW_PROBE_MS = 50_000;
/** Share of worlds with long faults. Only there, an unseen volume is old enough to count as gone. */
const LONG = 0.02;

/**
 * Freezing and measuring items cost a fifth of a schedule, so only some seeds do it. They find changes of read items
 * and growth.
 */
const THOROUGH_EVERY = 8;
/** Depends on the seed alone, so other seeds keep their random numbers. */
const RESTORING_EVERY = 15;
/** The same for outages longer than a run may take to become ready. */
const OUTAGE_EVERY = 14;
/** The same for groups of two zones, of which one or both have no machines for long. */
const ZONED_EVERY = 20;
const ZONED_REST = 18;
/** In every third of these, the cluster is silent about lacks. In the others, it says what AWS lacks, for hours. */
const lackKinds = ["silent", "said", "said, and the queue has a limit"] as const;
const SHORT_QUEUE_HOURS = 1;
/** The same for groups that a provider lists, with zones and limits of their own. */
const LISTED_EVERY = 20;
const LISTED_REST = 16;
const listedKinds: readonly ((sim: Scheduler) => Listed)[] = [
  () => ({ groups: groupsWithWide }),
  () => ({ groups: groupsByZone }),
  () => ({ groups: groupsWithWide, lacks: longLacks, reportsLacks: true }),
  () => ({ groups: groupsWithWide, lacks: shortLacks }),
  (sim) => ({ groups: drawnGroupsWithBlock(sim) }),
];
/** The same for a machine of a Capacity Block. */
const BLOCK_EVERY = 20;
const BLOCK_REST = 19;
/** The same for worlds of four machines, where a job may take more than two. */
const WIDE_EVERY = 19;
const WIDE_REST = 17;
/** The same for clusters whose nodes are watched, so that changed machines are listed at once. */
const WATCHED_EVERY = 3;
/** Hosts' clocks differ by less than the tolerated earliness (packages/core/reconciler/reconcile.ts). */
const MOST_APART_MS = 1_800;
/** A deleted disk is purged after three minutes, within a schedule. */
const RETENTION_DAYS = 0.002;
/** Where faults last long, an unused volume goes after five minutes. */
const IDLE_DAYS = 0.0035;

/** The groups that a provider lists. */
export interface Listed {
  readonly groups: readonly ListedGroup[];
  /** How long zones have no machines. Absent: each always has some. */
  readonly lacks?: Lacks;
  /** Whether the provider reports that. */
  readonly reportsLacks?: true;
}

export interface Surroundings extends VolumeTimes {
  readonly nodes: readonly ComputeNode[];
  readonly late: number;
  readonly isSlow: boolean;
  readonly isLong: boolean;
  readonly isRestoring?: boolean;
  /** Service with an outage longer than a run may take to become ready. */
  readonly outage?: Part | undefined;
  readonly isDeaf: boolean;
  /** Whether the watch shows changes of nodes. */
  readonly isWatched?: boolean;
  readonly taken: Partial<StepDelays>;
  readonly apartMs: number;
  readonly hostCount: number;
  readonly hasGroup?: boolean;
  readonly hasBlock?: boolean;
  readonly listed?: Listed | undefined;
  /** The zones of its group, and until when each has no machines. */
  readonly zones?: ReadonlyMap<string, number> | undefined;
  /** Whether the cluster says what AWS lacks. */
  readonly saysLacks?: boolean;
  readonly settings: Partial<Settings>;
  /** Decides the fate of an environment's run. The default is random. */
  readonly decide?: (compute: MemoryCompute, environment: Environment) => void;
  readonly watch: WatchOptions;
  readonly sent?: (message: ReconcileRequest) => void;
}

/** Draws a random world: two or four machines of 8 units, and four hosts. */
export function drawSurroundings(sim: Scheduler, seed: number): Surroundings {
  const late = sim.random() < 0.5 ? 90_000 * sim.random() : 0;
  const delays = { bindMs: 2000, imageMs: 3000, probeMs: 1000, removeMs: 1500 };
  const isSlow = sim.random() < SLOW;
  const isLong = sim.random() < LONG;
  const taken = isSlow ? { ...delays, probeMs: SLOW_PROBE_MS } : sim.random() < 0.7 ? delays : {};
  const volumes = drawnVolumes(sim);
  const isZoned = seed % ZONED_EVERY === ZONED_REST;
  const lackKind = isZoned ? lackKinds[Math.floor(seed / ZONED_EVERY) % lackKinds.length] : "silent";
  const saysLacks = lackKind !== "silent";
  const isListed = seed % LISTED_EVERY === LISTED_REST && !isLong;
  const listed = isListed ? listedKinds[Math.floor(seed / LISTED_EVERY) % listedKinds.length]?.(sim) : undefined;
  const lacks = isZoned ? (saysLacks ? longLacks : shortLacks) : listed?.lacks;
  const drawn = lacks && drawnZones(sim, zonedGroup, lacks);
  const zones = drawn ?? (listed && new Map(zonedGroup.zones.map((zone) => [zone, 0])));
  const hasBlock = seed % BLOCK_EVERY === BLOCK_REST && !isLong;
  const hasGroup = (sim.random() < GROUP && !hasBlock) || zones !== undefined;
  const group = zones ? zonedGroup : simulatedGroup;
  // All machines of a job are in one zone, and zones have two each.
  const nodes = seed % WIDE_EVERY === WIDE_REST && !zones && !hasBlock ? wideNodes() : newNodes({ h100: 2 });
  return {
    nodes: placed(nodes, { zones, hasBlock }),
    late,
    isSlow,
    isLong,
    taken,
    ...volumes,
    apartMs: sim.random() < 0.5 ? MOST_APART_MS : 0,
    hostCount: 4,
    isDeaf: sim.random() < DEAF,
    isWatched: seed % WATCHED_EVERY === 0,
    hasGroup,
    hasBlock,
    listed,
    zones,
    saysLacks,
    isRestoring: seed % RESTORING_EVERY === 0,
    outage: findLongOutage(seed),
    settings: {
      preparingMinutes: 3,
      diskRetentionDays: RETENTION_DAYS,
      diskVolumeIdleDays: isLong ? IDLE_DAYS : zones ? 1 : 0,
      nodeGroups: hasGroup && !listed ? [group] : [],
      ...(lackKind === "said, and the queue has a limit" && { maxQueueHours: SHORT_QUEUE_HOURS }),
    },
    watch: { measures: isThorough(seed) },
  };
}

function placed(nodes: readonly ComputeNode[], { zones, hasBlock }: Pick<Surroundings, "zones" | "hasBlock">) {
  if (hasBlock) return withBlock(nodes);
  return zones ? nodes.map((node, index) => ({ ...node, zone: zonedGroup.zones[index] ?? "" })) : nodes;
}

/** Returns two machines more. The weather adds machines named h100-3 and h100-4. */
function wideNodes(): ComputeNode[] {
  const first = newNodes({ h100: 2 });
  const more = first.map(({ name, uid, providerId, ...node }) => {
    return { ...node, name: `${name}-wide`, uid: `${uid}-wide`, providerId: `${providerId}-wide` };
  });
  return [...first, ...more];
}

function findLongOutage(seed: number): Part | undefined {
  if (seed % OUTAGE_EVERY !== 0) return undefined;
  return seed % (2 * OUTAGE_EVERY) === 0 ? "table" : "cluster";
}

export function isThorough(seed: number): boolean {
  return seed % THOROUGH_EVERY === 0;
}
