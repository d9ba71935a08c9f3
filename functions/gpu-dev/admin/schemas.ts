import * as z from "zod";
import { type AuditRecord, operatorActions } from "#core/admin/audit.ts";
import type { OrphanReport } from "#core/admin/orphans.ts";
import type { OperatorState } from "#core/admin/state.ts";
import { instanceTypes } from "#core/fleet.ts";
import type { Admission, OperatorNote } from "#core/pools/admission/admission.ts";
import type { ListedNode } from "#core/pools/capacity/list-nodes.ts";
import { Problem } from "#core/problem.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { JobSummary } from "../jobs/schemas.ts";

/** A job as operators see it, without any credentials. */
export const AdminJob = JobSummary.omit({
  ssh_command: true,
  ssh_host_key: true,
  jupyter_url: true,
  jupyter_token: true,
  jupyter_port: true,
}).meta({ id: "AdminJob" });

export const UserRef = z.object({
  username: z.string().max(255).meta({ example: "alice" }).describe("The user's name."),
});
export const PoolRef = z.object({ gpu_type: z.string().meta({ example: "h100" }).describe("The type of GPU.") });

export function parseGpuType({ gpu_type }: z.infer<typeof PoolRef>): string {
  if (instanceTypes.some(({ pool }) => pool === gpu_type)) return gpu_type;
  throw new Problem("notFound", `GPU type '${gpu_type.slice(0, 100)}' not found`);
}

export const NodePath = z.object({
  name: z
    .string()
    .max(255)
    .meta({ example: "ip-10-0-12-34.us-east-2.compute.internal" })
    .describe("The machine's name."),
});
export const NodeGone = z
  .object({
    node: z.string().describe("The machine's name."),
    uid: z.string().describe("The id that the environment keeps for its whole life."),
    status: z.literal("gone").describe("The machine is treated as dead: what ran there is lost."),
  })
  .meta({ id: "NodeGone" });

export const NodeBack = z
  .object({
    node: z.string().describe("The machine's name."),
    uid: z.string().describe("The id that the environment keeps for its whole life."),
    status: z.literal("back").describe("The machine counts again once the cluster lists it, within a minute."),
  })
  .meta({ id: "NodeBack" });

export const AdminNode = z
  .object({
    node: z.string().describe("The machine's name."),
    uid: z.string().describe("The uid of its node object."),
    gpu_type: z.string().describe("The type of GPU."),
    zone: z.string().describe("The machine's zone."),
    status: z
      .enum(["ready", "not_ready", "cordoned", "tainted", "gone"])
      .describe("`gone`: its node object is not there any more, or an operator called it dead."),
    units: z.int().describe("What it offers: GPUs, vCPUs of a shared machine, 1 for another CPU machine."),
    units_in_use: z.int().describe("How much of that environments have."),
    gone_until: Timestamp.nullable().describe(
      "Until when an operator's declaration that it is dead counts; null if there is none.",
    ),
  })
  .meta({ id: "AdminNode" });

export function toAdminNode({ name, uid, pool, zone, state, ...rest }: ListedNode): z.infer<typeof AdminNode> {
  const gone_until = rest.goneUntil === null ? null : wholeSeconds(rest.goneUntil);
  const [units, units_in_use] = [rest.units, rest.unitsInUse];
  return { node: name, uid, gpu_type: pool, zone, status: state, units, units_in_use, gone_until };
}

export const UserState = z
  .object({
    username: z.string().describe("The user's name."),
    disabled: z.boolean().describe("Whether the user is disabled."),
  })
  .meta({ id: "UserState" });

export const AdmissionState = z
  .object({
    paused: z.boolean().describe("Whether no new jobs are started at all."),
    drained_gpu_types: z.array(z.string()).describe("The GPU types on which no new jobs are started."),
  })
  .meta({ id: "AdmissionState" });

export function toAdmissionState({ paused, drained }: Admission): z.infer<typeof AdmissionState> {
  return { paused, drained_gpu_types: [...drained] };
}

export const OperatorReason = z
  .object({
    reason: z.string().min(1).max(200).nullish().describe("Why, in the operator's words; null if none were given."),
  })
  .meta({ id: "OperatorReason" });

export function toOperatorNote(by: string, { reason = null }: z.infer<typeof OperatorReason>): OperatorNote {
  return { by, reason };
}

const note = {
  since: Timestamp.nullable().describe(
    "When an operator closed it or called it dead; null if an older version noted no time.",
  ),
  by: z.string().nullable().describe("The operator who did; null if an older version noted no name."),
  reason: z.string().nullable().describe("Why, in the operator's words; null if none were given."),
};
export const AdminState = z
  .object({
    paused: z
      .object(note)
      .nullable()
      .describe("Since when and why no new jobs are started at all; null while they are."),
    drained: z
      .array(z.object({ gpu_type: z.string().describe("The type of GPU."), ...note }).meta({ id: "DrainedType" }))
      .describe("The GPU types on which no new jobs are started."),
    gone_nodes: z
      .array(
        z
          .object({
            node: z.string().describe("The machine's name."),
            uid: z.string().describe("The id that the environment keeps for its whole life."),
            gpu_type: z.string().describe("The type of GPU."),
            ...note,
            until: Timestamp.describe("Until when the operator's word counts."),
          })
          .meta({ id: "LostNode" }),
      )
      .describe("The machines that an operator called dead, at most 100."),
    gone_node_count: z.int().describe("Number of machines that an operator called dead; `gone_nodes` may list fewer."),
  })
  .meta({ id: "AdminState" });

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

export const AuditEntry = z
  .object({
    id: z.string().describe("The entry's id."),
    at: Timestamp.describe("When the state changed."),
    operator: z.string().describe("The operator who acted."),
    key_prefix: z.string().describe("The first 8 characters of the operator's API key."),
    action: z.enum(operatorActions).describe("What the operator did."),
    target: z.string().nullable().describe("The target of the action; null if the action concerns everything."),
    request_id: z.string().describe("The `X-Request-ID` of the operator's request."),
    result: z.enum(["started", "done", "failed"]).describe("`started` before the action, then its outcome."),
    reason: z
      .string()
      .nullable()
      .describe("Why the action failed, what it left, or which job the first characters of an id stood for."),
    /** More than 1 only for reads: those of one kind within ten minutes share an entry. */
    count: z
      .int()
      .describe(
        "How many calls the entry stands for. Reads of one kind by one operator, with one key, share an entry for ten minutes; every other call has its own.",
      ),
  })
  .meta({ id: "AuditEntry" });

export function toAuditEntry(record: AuditRecord): z.infer<typeof AuditEntry> {
  const { operator, action, target, result, reason, count = 1 } = record;
  const [at, key_prefix, request_id] = [wholeSeconds(record.at), record.keyPrefix, record.requestId];
  return { id: record.sk, at, operator, key_prefix, action, target, request_id, result, reason, count };
}

const sighting = {
  record: z.string().describe("The record's key."),
  uid: z.string().describe("The id that the environment keeps for its whole life."),
  run: z.int().describe("Number of the environment's start, counted from 1."),
  why: z.string().describe("The reason as text."),
  first_seen_at: Timestamp.describe("When this was first seen."),
  sightings: z.int().describe("Number of times this was seen."),
};

export const Orphans = z
  .object({
    checked_at: Timestamp.nullable().describe(
      "When the cluster was last compared with the records; null before the first comparison.",
    ),
    run_count: z.int().describe("Number of runs without a living record; `runs` may list fewer."),
    runs: z
      .array(
        z
          .object({
            ...sighting,
            gpu_type: z.string().nullable().describe("The type of GPU."),
            gpu_count: z
              .int()
              .nullable()
              .describe(
                "Number of GPUs. Without it a submit asks for all GPUs of the machine; 16 means two machines of 8.",
              ),
          })
          .meta({ id: "OrphanRun" }),
      )
      .describe("Runs on the cluster without a living record."),
    record_count: z.int().describe("Number of records without their run; `records` may list fewer."),
    records: z
      .array(z.object(sighting).meta({ id: "OrphanRecord" }))
      .describe("Records whose run is not on the cluster."),
    volume_count: z.int().describe("Number of volumes that no record names; `volumes` may list fewer."),
    volumes: z
      .array(
        z
          .object({
            record: z.string().nullable().describe("The record that it was made for; null where nothing says it."),
            volume: z.string().describe("The volume's id."),
            why: z.string().describe("The reason as text."),
            first_seen_at: Timestamp.describe("When this was first seen."),
            sightings: z.int().describe("Number of times this was seen."),
          })
          .meta({ id: "OrphanVolume" }),
      )
      .describe("Volumes that no record names, at most 50. Nothing removes them."),
    snapshot_count: z.int().describe("Number of snapshots of disks that no record names; `snapshots` may list fewer."),
    snapshots: z
      .array(
        z
          .object({
            record: z.string().nullable().describe("The record of its disk, as its tags name it."),
            snapshot: z.string().describe("The snapshot's id."),
            why: z.string().describe("The reason as text."),
            first_seen_at: Timestamp.describe("When this was first seen."),
            sightings: z.int().describe("Number of times this was seen."),
          })
          .meta({ id: "OrphanSnapshot" }),
      )
      .describe("Snapshots of disks that no record names, at most 50. Nothing removes them."),
    removed_count: z.int().describe("Number of runs removed so far."),
    removed: z
      .array(
        z
          .object({
            record: z.string().describe("The record's key."),
            uid: z.string().describe("The id that the environment keeps for its whole life."),
            run: z.int().describe("Number of the environment's start, counted from 1."),
            why: z.string().describe("The reason as text."),
            removed_at: Timestamp.describe("When the run was removed."),
          })
          .meta({ id: "RemovedOrphan" }),
      )
      .describe("The runs that were removed last."),
    orphan_gpu_hours: z.number().describe("GPU hours used by runs without a living record."),
    orphan_gb_hours: z.number().describe("GB hours of all volumes that no record names, where their sizes are known."),
  })
  .meta({ id: "Orphans" });

export function toOrphans(report: OrphanReport | undefined): z.infer<typeof Orphans> {
  const { runs = [], records = [], runCount = 0, recordCount = 0, gpuHours = 0, gbHours = 0 } = report ?? {};
  const { removed = [], removedCount = 0, volumes = [], volumeCount = 0 } = report ?? {};
  const { snapshots = [], snapshotCount = 0 } = report ?? {};
  return {
    checked_at: report ? wholeSeconds(report.checkedAt) : null,
    run_count: runCount,
    runs: runs.map((run) => ({ ...toSighting(run), gpu_type: run.pool, gpu_count: run.gpus })),
    record_count: recordCount,
    records: records.map(toSighting),
    volume_count: volumeCount,
    volumes: volumes.map(({ key, firstSeenAt, ...fields }) => ({
      record: key,
      ...fields,
      first_seen_at: wholeSeconds(firstSeenAt),
    })),
    snapshot_count: snapshotCount,
    snapshots: snapshots.map(({ key, firstSeenAt, ...fields }) => ({
      record: key,
      ...fields,
      first_seen_at: wholeSeconds(firstSeenAt),
    })),
    removed_count: removedCount,
    removed: removed.map(({ key, at, ...fields }) => ({ record: key, ...fields, removed_at: wholeSeconds(at) })),
    orphan_gpu_hours: Math.round(gpuHours * 1000) / 1000,
    orphan_gb_hours: Math.round(gbHours * 1000) / 1000,
  };
}

function toSighting({ uid, run, key, why, firstSeenAt, sightings }: OrphanReport["records"][number]) {
  return { record: key, uid, run, why, first_seen_at: wholeSeconds(firstSeenAt), sightings };
}
