import { requested, summary } from "../../jobs/internal/examples.ts";
import { AdminJob } from "../schemas.ts";

const machine = "ip-10-0-12-34.us-east-2.compute.internal";

const record = `owner#5a8d0e2b7c914f36a1d4e8f0b3c6972d#env#gpu-dev|${summary.job_id}`;

const found = { record, uid: "0b9d2c6a4f1e4d7c8a35e6f7091b2c3d", run: 1 };

function admission(title: string, paused: boolean, ...drained_gpu_types: string[]) {
  return { [title]: { paused, drained_gpu_types } };
}

export const listJobsExamples = {
  200: { "One job": { jobs: [AdminJob.parse(summary)], total: 1, limit: 50, offset: 0 } },
};

export const cancelJobExamples = {
  requests: { "Whoever has it": {}, "This user's": { user: "jschmidt" } },
  200: requested("cancel", "Cancellation request submitted"),
};

export const listAuditExamples = {
  200: {
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
          count: 1,
        },
        {
          id: "019bdc9b-7a80-7b03-8f1e-4567890abcde",
          at: "2026-01-20T18:29:10Z",
          operator: "alice",
          key_prefix: "zHfR3kQ9",
          action: "list_jobs",
          target: null,
          request_id: "fedcba9876543210fedcba9876543210",
          result: "done",
          reason: null,
          count: 42,
        },
      ],
      more: true,
      limit: 2,
      offset: 0,
    },
  },
};

export const listOrphansExamples = {
  200: {
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
  },
};

export const stateExamples = {
  200: {
    "One type is drained": {
      paused: null,
      drained: [{ gpu_type: "h100", since: "2026-01-20T18:30:00Z", by: "alice", reason: "New driver" }],
      gone_nodes: [],
      gone_node_count: 0,
    },
  },
};

export const drainPoolExamples = {
  requests: { "With a reason": { reason: "New driver" } },
  200: admission("One is drained", false, "h100"),
};

export const undrainPoolExamples = {
  200: admission("None is drained", false),
};

export const pauseAdmissionExamples = {
  requests: { "With a reason": { reason: "New driver" } },
  200: admission("Nothing starts", true),
};

export const resumeAdmissionExamples = {
  200: admission("All start", false),
};

export const disableUserExamples = {
  200: { Disabled: { username: "alice", disabled: true } },
};

export const enableUserExamples = {
  200: { Enabled: { username: "alice", disabled: false } },
};

export const declareNodeGoneExamples = {
  requests: { "With a reason": { reason: "Its power supply failed" } },
  200: { Gone: { node: machine, uid: "6f0b2a91-3c4d-4e5f-8a7b-0123456789ab", status: "gone" } },
};

export const returnNodeExamples = {
  200: { Back: { node: machine, uid: "6f0b2a91-3c4d-4e5f-8a7b-0123456789ab", status: "back" } },
};

export const listNodesExamples = {
  200: {
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
  },
};

export const endRecordExamples = {
  requests: { "As the alarm names it": { key: record } },
  200: {
    "A job": { key: record, status: "ended" },
    "A disk, which leaves what holds its data": {
      key: "owner#5a8d0e2b7c914f36a1d4e8f0b3c6972d#disk|7c1e9a3b5d2f4806a9c3e1b7d5f20846",
      status: "ended",
      kept: { volume: "vol-0123456789abcdef0", snapshots: ["snap-1234567890abcdef0"] },
    },
  },
};
