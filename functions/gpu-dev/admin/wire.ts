import * as z from "zod";
import { type AuditRecord, operatorActions } from "#core/admin/audit.ts";
import type { OrphanReport } from "#core/admin/orphans.ts";
import type { OperatorState } from "#core/admin/state.ts";
import { instanceTypes } from "#core/fleet.ts";
import type { Admission, OperatorNote } from "#core/pools/admission.ts";
import type { ListedNode } from "#core/pools/list-nodes.ts";
import { Problem } from "#core/problem.ts";
import { Timestamp, wholeSeconds } from "#http/timestamp.ts";
import { JobSummary } from "../jobs/wire.ts";

/** A job as its operator sees it: nothing that would let him in. */
export const AdminJob = JobSummary.omit({
  ssh_command: true,
  ssh_host_key: true,
  jupyter_url: true,
  jupyter_token: true,
  jupyter_port: true,
});

export const UserRef = z.object({ username: z.string().max(255).meta({ example: "alice" }) });
export const PoolRef = z.object({ gpu_type: z.string().meta({ example: "h100" }) });

/** The type of a path if there is one; throws `notFound`. */
export function gpuTypeOf({ gpu_type }: z.infer<typeof PoolRef>): string {
  if (instanceTypes.some(({ pool }) => pool === gpu_type)) return gpu_type;
  throw new Problem("notFound", `GPU type '${gpu_type.slice(0, 100)}' not found`);
}

export const NodePath = z.object({
  name: z.string().max(255).meta({ example: "ip-10-0-12-34.us-east-2.compute.internal" }),
});
export const NodeGone = z.object({ node: z.string(), uid: z.string(), status: z.literal("gone") });

export const NodeBack = z.object({ node: z.string(), uid: z.string(), status: z.literal("back") });

export const AdminNode = z.object({
  node: z.string(),
  uid: z.string(),
  gpu_type: z.string(),
  zone: z.string(),
  status: z.enum(["ready", "not_ready", "cordoned", "tainted", "gone"]),
  units: z.int(),
  units_in_use: z.int(),
  gone_until: Timestamp.nullable(),
});

export function toAdminNode({ name, uid, pool, zone, state, ...rest }: ListedNode): z.infer<typeof AdminNode> {
  const gone_until = rest.goneUntil === null ? null : wholeSeconds(rest.goneUntil);
  const [units, units_in_use] = [rest.units, rest.unitsInUse];
  return { node: name, uid, gpu_type: pool, zone, status: state, units, units_in_use, gone_until };
}

export const UserState = z.object({ username: z.string(), disabled: z.boolean() });

export const AdmissionState = z.object({ paused: z.boolean(), drained_gpu_types: z.array(z.string()) });

export function toAdmissionState({ paused, drained }: Admission): z.infer<typeof AdmissionState> {
  return { paused, drained_gpu_types: [...drained] };
}

/** Why an operator closes something. */
export const OperatorReason = z.object({ reason: z.string().min(1).max(200).nullish() });

export function noteOf(by: string, { reason = null }: z.infer<typeof OperatorReason>): OperatorNote {
  return { by, reason };
}

const note = { since: Timestamp.nullable(), by: z.string().nullable(), reason: z.string().nullable() };
export const AdminState = z.object({
  paused: z.object(note).nullable(),
  drained: z.array(z.object({ gpu_type: z.string(), ...note })),
  gone_nodes: z.array(z.object({ node: z.string(), uid: z.string(), gpu_type: z.string(), ...note, until: Timestamp })),
  gone_node_count: z.int(),
});

export function toAdminState(state: OperatorState): z.infer<typeof AdminState> {
  return {
    paused: state.paused && toNote(state.paused),
    drained: state.drained.map((closure) => ({ gpu_type: closure.type, ...toNote(closure) })),
    gone_nodes: state.goneNodes.map(({ name, uid, pool, since, until, ...rest }) => {
      return { node: name, uid, gpu_type: pool, ...toNote({ at: since, ...rest }), until: wholeSeconds(until) };
    }),
    gone_node_count: state.goneNodeCount,
  };
}

function toNote({ at, by, reason }: { readonly at?: number } & Partial<OperatorNote>) {
  return { since: at === undefined ? null : wholeSeconds(at), by: by ?? null, reason: reason ?? null };
}

export const AuditEntry = z.object({
  id: z.string(),
  at: Timestamp,
  operator: z.string(),
  key_prefix: z.string(),
  action: z.enum(operatorActions),
  target: z.string().nullable(),
  request_id: z.string(),
  result: z.enum(["started", "done", "failed"]),
  reason: z.string().nullable(),
  /** More than 1 only for reads: those of one kind within ten minutes share an entry. */
  count: z.int(),
});

export function toAuditEntry(record: AuditRecord): z.infer<typeof AuditEntry> {
  const { operator, action, target, result, reason, count = 1 } = record;
  const [at, key_prefix, request_id] = [wholeSeconds(record.at), record.keyPrefix, record.requestId];
  return { id: record.sk, at, operator, key_prefix, action, target, request_id, result, reason, count };
}

const sighting = {
  record: z.string(),
  uid: z.string(),
  run: z.int(),
  why: z.string(),
  first_seen_at: Timestamp,
  sightings: z.int(),
};

export const Orphans = z.object({
  checked_at: Timestamp.nullable(),
  run_count: z.int(),
  runs: z.array(z.object({ ...sighting, gpu_type: z.string().nullable(), gpu_count: z.int().nullable() })),
  record_count: z.int(),
  records: z.array(z.object(sighting)),
  volume_count: z.int(),
  volumes: z.array(
    z.object({
      record: z.string().nullable(),
      volume: z.string(),
      why: z.string(),
      first_seen_at: Timestamp,
      sightings: z.int(),
    }),
  ),
  snapshot_count: z.int(),
  snapshots: z.array(
    z.object({
      record: z.string().nullable(),
      snapshot: z.string(),
      why: z.string(),
      first_seen_at: Timestamp,
      sightings: z.int(),
    }),
  ),
  removed_count: z.int(),
  removed: z.array(
    z.object({ record: z.string(), uid: z.string(), run: z.int(), why: z.string(), removed_at: Timestamp }),
  ),
  orphan_gpu_hours: z.number(),
  orphan_gb_hours: z.number(),
});

/** The latest report, as empty as can be before the first comparison. */
export function toOrphans(report: OrphanReport | undefined): z.infer<typeof Orphans> {
  const { runs = [], records = [], runCount = 0, recordCount = 0, gpuHours = 0, gbHours = 0 } = report ?? {};
  const { removed = [], removedCount = 0, volumes = [], volumeCount = 0 } = report ?? {};
  const { snapshots = [], snapshotCount = 0 } = report ?? {};
  return {
    checked_at: report ? wholeSeconds(report.checkedAt) : null,
    run_count: runCount,
    runs: runs.map((one) => ({ ...toSighting(one), gpu_type: one.pool, gpu_count: one.gpus })),
    record_count: recordCount,
    records: records.map(toSighting),
    volume_count: volumeCount,
    volumes: volumes.map(({ key, firstSeenAt, ...one }) => ({
      record: key,
      ...one,
      first_seen_at: wholeSeconds(firstSeenAt),
    })),
    snapshot_count: snapshotCount,
    snapshots: snapshots.map(({ key, firstSeenAt, ...one }) => ({
      record: key,
      ...one,
      first_seen_at: wholeSeconds(firstSeenAt),
    })),
    removed_count: removedCount,
    removed: removed.map(({ key, at, ...one }) => ({ record: key, ...one, removed_at: wholeSeconds(at) })),
    orphan_gpu_hours: Math.round(gpuHours * 1000) / 1000,
    orphan_gb_hours: Math.round(gbHours * 1000) / 1000,
  };
}

function toSighting({ uid, run, key, why, firstSeenAt, sightings }: OrphanReport["records"][number]) {
  return { record: key, uid, run, why, first_seen_at: wholeSeconds(firstSeenAt), sightings };
}
