import type { Examples, NounDocument } from "#http/noun-document.ts";
import { document as jobs, requested, summary } from "../../jobs/parts/document.ts";
import { AdminJob, AdminNode, AuditEntry, Orphans } from "../wire.ts";

const machine = "ip-10-0-12-34.us-east-2.compute.internal";
const record = `owner#5a8d0e2b7c914f36a1d4e8f0b3c6972d#env#gpu-dev|${summary.job_id}`;
const found = { record, uid: "0b9d2c6a4f1e4d7c8a35e6f7091b2c3d", run: 1 };

function answers(examples: Examples) {
  return { 200: { examples } };
}

function admission(title: string, paused: boolean, ...drained_gpu_types: string[]) {
  return answers({ [title]: { paused, drained_gpu_types } });
}

export const document: NounDocument = {
  tag: "Admin",
  also: jobs,
  schemas: {
    AdminJob,
    AdminNode,
    AuditEntry,
    OrphanRun: Orphans.shape.runs.element,
    OrphanRecord: Orphans.shape.records.element,
    OrphanVolume: Orphans.shape.volumes.element,
    OrphanSnapshot: Orphans.shape.snapshots.element,
    RemovedOrphan: Orphans.shape.removed.element,
  },
  fields: {
    "query.user": "Only jobs of the user of this name.",
    "query.status": "Only jobs in this state.",
    "query.limit": "Maximum number of entries to return, 1 to 500.",
    "CancelAnyJob.user": "The owner's user name. With it, a job that was submitted a second ago is found too.",
    "AdminJobList.total": "Number of jobs that match the filter.",
    jobs: "The jobs, newest first.",
    entries: "The entries, newest first.",
    more: "Whether there are older entries.",
    id: "The entry's id.",
    operator: "The operator who acted.",
    key_prefix: "The first 8 characters of the operator's API key.",
    action: "What the operator did.",
    target: "What the operator acted on; null where the action concerns everything.",
    request_id: "The `X-Request-ID` of the operator's request.",
    result: "`started` before the action, then its outcome.",
    "AuditEntry.reason": "Why the action failed, what it left, or which job the first characters of an id stood for.",
    checked_at: "When the cluster was last compared with the records; null before the first comparison.",
    run_count: "Number of runs without a living record; `runs` may list fewer.",
    runs: "Runs on the cluster without a living record.",
    record_count: "Number of records without their run; `records` may list fewer.",
    volume_count: "Number of volumes that no record names; `volumes` may list fewer.",
    snapshot_count: "Number of snapshots of disks that no record names; `snapshots` may list fewer.",
    "Orphans.snapshots": "Snapshots of disks that no record names, at most 50. Nothing removes them.",
    "OrphanSnapshot.snapshot": "The snapshot's id.",
    "OrphanSnapshot.record": "The record of its disk, as its tags name it.",
    volumes: "Volumes that no record names, at most 50. Nothing removes them.",
    "OrphanVolume.volume": "The volume's id.",
    "OrphanVolume.record": "The record that it was made for; null where nothing says it.",
    records: "Records whose run is not on the cluster.",
    removed_count: "Number of runs removed so far.",
    removed: "The runs that were removed last.",
    orphan_gpu_hours: "GPU hours used by runs without a living record.",
    orphan_gb_hours: "GB hours of all volumes that no record names, where their sizes are known.",
    record: "The record's key.",
    uid: "The id that the environment keeps for its whole life.",
    run: "Number of the environment's start, counted from 1.",
    why: "What is wrong, in words.",
    first_seen_at: "When this was first seen.",
    sightings: "Number of times this was seen.",
    removed_at: "When the run was removed.",
    gpu_type: "The type of GPU.",
    paused: "Whether no new jobs are started at all.",
    drained_gpu_types: "The GPU types on which no new jobs are started.",
    username: "The user's name.",
    disabled: "Whether the user is disabled.",
    name: "The machine's name.",
    "AdminJob.name": "The job's name, for people.",
    node: "The machine's name.",
    "NodeGone.status": "The machine is treated as dead: what ran there is lost.",
    "NodeBack.status": "The machine counts again once the cluster lists it, within a minute.",
    nodes: "The machines, those that are gone first, then by name.",
    "AdminNodeList.total": "Number of machines.",
    zone: "The machine's zone.",
    "AdminNode.status": "`gone`: its node object is not there any more, or an operator called it dead.",
    "AdminNode.uid": "The uid of its node object.",
    units: "What it offers: GPUs, vCPUs of a shared machine, 1 for another CPU machine.",
    units_in_use: "How much of that environments have.",
    gone_until: "Until when an operator's word that it is dead counts; null where there is none.",
    key: "The record's key as the alarm names it: partition key, a bar, sort key.",
    "EndedRecord.status": "The record was ended.",
    kept: "Of a disk: the volume and snapshots that remain in the cloud.",
    volume: "The disk's volume, if it has one.",
    snapshots: "The disk's snapshots.",
  },
  operations: {
    "list-jobs": {
      id: "listAllJobs",
      reply: "AdminJobList",
      replies: answers({ "One job": { jobs: [AdminJob.parse(summary)], total: 1, limit: 50, offset: 0 } }),
    },
    "cancel-job": {
      id: "cancelAnyJob",
      body: "CancelAnyJob",
      requests: { "Whoever has it": {}, "This user's": { user: "jschmidt" } },
      replies: { 200: requested("cancel", "Cancellation request submitted") },
      problems: { 409: "Several jobs begin like this, several users have it, or it ended" },
    },
    "list-audit": {
      id: "listAudit",
      reply: "Audit",
      replies: answers({
        "What was done last": {
          entries: [
            {
              id: "019bdc9e-2f40-7a11-9c3d-0123456789ab",
              at: "2026-01-20T18:30:00Z",
              operator: "alice",
              key_prefix: "zHfR3kQ9",
              action: "drain_pool",
              target: "h100",
              request_id: "0123456789abcdef0123456789abcdef",
              result: "done",
              reason: null,
            },
          ],
          more: true,
          limit: 1,
          offset: 0,
        },
      }),
    },
    "list-orphans": {
      id: "listOrphans",
      reply: "Orphans",
      replies: answers({
        "One run too many": {
          checked_at: "2026-01-20T18:30:00Z",
          run_count: 1,
          runs: [
            {
              ...found,
              why: "its record is at run 2",
              first_seen_at: "2026-01-20T18:29:00Z",
              sightings: 2,
              gpu_type: "h100",
              gpu_count: 4,
            },
          ],
          record_count: 0,
          records: [],
          volume_count: 0,
          volumes: [],
          snapshot_count: 0,
          snapshots: [],
          removed_count: 1,
          removed: [{ ...found, why: "it has no record", removed_at: "2026-01-19T18:30:00Z" }],
          orphan_gpu_hours: 0.067,
          orphan_gb_hours: 0,
        },
      }),
    },
    "drain-pool": { id: "drainGpuType", reply: "AdmissionState", replies: admission("One is drained", false, "h100") },
    "undrain-pool": { id: "undrainGpuType", reply: "AdmissionState", replies: admission("None is drained", false) },
    "pause-admission": { id: "pauseAdmission", reply: "AdmissionState", replies: admission("Nothing starts", true) },
    "resume-admission": { id: "resumeAdmission", reply: "AdmissionState", replies: admission("All start", false) },
    "disable-user": {
      id: "disableUser",
      reply: "UserState",
      replies: answers({ Disabled: { username: "alice", disabled: true } }),
    },
    "enable-user": {
      id: "enableUser",
      reply: "UserState",
      replies: answers({ Enabled: { username: "alice", disabled: false } }),
    },
    "declare-node-gone": {
      id: "declareNodeGone",
      reply: "NodeGone",
      replies: answers({ Gone: { node: machine, uid: "6f0b2a91-3c4d-4e5f-8a7b-0123456789ab", status: "gone" } }),
    },
    "return-node": {
      id: "returnNode",
      reply: "NodeBack",
      replies: answers({ Back: { node: machine, uid: "6f0b2a91-3c4d-4e5f-8a7b-0123456789ab", status: "back" } }),
    },
    "list-nodes": {
      id: "listNodes",
      reply: "AdminNodeList",
      replies: answers({
        "One that an operator called dead": {
          nodes: [
            {
              node: machine,
              uid: "6f0b2a91-3c4d-4e5f-8a7b-0123456789ab",
              gpu_type: "h100",
              zone: "us-east-2a",
              status: "gone",
              units: 8,
              units_in_use: 8,
              gone_until: "2026-01-21T18:30:00Z",
            },
          ],
          total: 1,
          limit: 50,
          offset: 0,
        },
      }),
    },
    "end-record": {
      id: "endRecord",
      body: "EndRecord",
      reply: "EndedRecord",
      requests: { "As the alarm names it": { key: record } },
      replies: answers({
        "A job": { key: record, status: "ended" },
        "A disk, which leaves what holds its data": {
          key: "owner#5a8d0e2b7c914f36a1d4e8f0b3c6972d#disk|7c1e9a3b5d2f4806a9c3e1b7d5f20846",
          status: "ended",
          kept: { volume: "vol-0123456789abcdef0", snapshots: ["snap-1234567890abcdef0"] },
        },
      }),
    },
  },
};
