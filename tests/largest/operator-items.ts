import type { AuditRecord } from "#core/admin/audit.ts";
import type { OrphanReport } from "#core/admin/orphans.ts";
import type { MachineGroupsItem } from "#core/pools/capacity/machine-groups-item.ts";
import type { MachineGroup } from "#core/ports/machine-groups.ts";
import type { ClusterState } from "#core/reconciler/cluster-state.ts";
import type { WatchItem } from "#core/reconciler/watcher-lease.ts";
import { dueShards } from "#core/store/due.ts";
import {
  auditPartition,
  clusterKey,
  machineGroupsKey,
  orphansKey,
  sealingKeyKey,
  sweepKey,
  watchKey,
} from "#core/store/keys.ts";
import { at, base, homeText, many, ttl, uid, username, uuid, type Written } from "./parts.ts";

export const audit = {
  ...base,
  pk: auditPartition("2099-12"),
  sk: uuid,
  kind: "audit",
  at,
  operator: username,
  keyPrefix: "xxxxxxxx",
  action: "declare_node_gone",
  target: "€".repeat(200),
  requestId: "r".repeat(128),
  result: "started",
  reason: "€".repeat(200),
  count: 1_000_000,
  ttl,
} satisfies Written<AuditRecord>;

const sighting = {
  uid,
  run: 1_000_000,
  key: homeText,
  why: "it is preparing but has no run",
  firstSeenAt: at,
  sightings: 1_000_000,
};

const longestWhy = "only leftovers exist: its key is not the key of an environment";

const unowned = {
  key: "k".repeat(200),
  why: "its key is not the key of a disk or environment",
  firstSeenAt: at,
  sightings: 1_000_000,
};

/** Orphans: 500 runs, 500 records, 50 volumes, 50 snapshots and 50 removed objects. */
export const orphans = {
  ...base,
  ...orphansKey,
  kind: "orphans",
  checkedAt: at,
  runCount: 1e6,
  recordCount: 1e6,
  removedCount: 1e6,
  runs: many(500, () => ({ ...sighting, why: longestWhy, pool: "cpu-shared", gpus: 16, uselessSince: at })),
  records: many(500, () => sighting),
  volumeCount: 1e6,
  volumeGb: 1e9,
  volumesListedAt: at,
  volumes: many(50, () => ({ volume: "v".repeat(200), ...unowned })),
  snapshotCount: 1e6,
  snapshots: many(50, () => ({ snapshot: "s".repeat(200), ...unowned })),
  removed: many(50, () => ({ uid, run: 1_000_000, key: homeText, why: longestWhy, at })),
  gpuHours: 123_456.123_456_789,
  gbHours: 123_456.123_456_789,
} satisfies Written<OrphanReport>;

/** Sweep with a position in each shard, as long as DynamoDB's. */
export const sweep = {
  ...base,
  ...sweepKey("webhooks"),
  kind: "sweep",
  sentUpTo: at,
  places: Object.fromEntries(dueShards.map((shard) => [shard, { after: "x".repeat(400), at }])),
};

export const watch = {
  ...base,
  ...watchKey,
  kind: "watch",
  holder: uid,
  until: at,
  version: "9".repeat(1_000),
} satisfies Written<WatchItem>;

export const cluster = {
  ...base,
  ...clusterKey,
  kind: "cluster",
  reachable: false,
  since: at,
  hintedAt: at,
} satisfies Written<ClusterState>;

const group: MachineGroup = {
  name: "x".repeat(63),
  instanceTypes: Array.from({ length: 20 }, () => "p6-b200.48xlarge"),
  zones: Array.from({ length: 6 }, () => "ap-northeast-1-wl1-kix-wlz-1"),
  mostNodes: 10_000,
  isActive: true,
  admitsRuns: false,
  lacks: "addresses",
};

/** As many groups as one answer keeps. */
export const machineGroups = {
  ...base,
  ...machineGroupsKey,
  kind: "machine-groups",
  groups: Array.from({ length: 100 }, () => group),
  readAt: at,
  triedAt: at,
  failure: "x".repeat(81),
} satisfies Written<MachineGroupsItem>;

export const sealingKey = { ...base, ...sealingKeyKey, kind: "sealing-key", id: "f".repeat(16) };
