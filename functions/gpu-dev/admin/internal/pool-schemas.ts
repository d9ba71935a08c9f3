import * as z from "zod";
import { poolTypes } from "#core/fleet.ts";
import { lackKinds } from "#core/ports/machine-groups.ts";
import { Timestamp } from "#http/answers/timestamp.ts";
import { placeInType, plannedNote, plannedPlace } from "../schemas.ts";

export const ListPools = z.object({
  gpu_type: z.enum(poolTypes).optional().describe("Only this type, also if nothing is known of it."),
});

const ClosedNote = z
  .object({
    since: Timestamp.nullable().describe("When an operator closed it; null if an older version noted no time."),
    by: z.string().nullable().describe("The operator who did; null if an older version noted no name."),
    reason: z.string().nullable().describe("Why, in the operator's words; null if none were given."),
  })
  .meta({ id: "ClosedNote" });

const PoolPart = z
  .object({
    ...placeInType,
    ...ClosedNote.shape,
  })
  .meta({ id: "PoolPart" });

const PlannedPart = z.object({ ...plannedPlace, ...ClosedNote.shape, ...plannedNote }).meta({ id: "PlannedPart" });

const Holder = z
  .object({
    user_id: z.string().describe("The user name of the owner."),
    environment_id: z.string().describe("The environment's id in its API."),
    api: z.string().describe("The API through which the environment was created."),
    units: z.int().describe("How much of this machine it has."),
    phase: z
      .enum(["granted", "preparing", "active", "stopping"])
      .describe("`granted` until the environment has taken what it was granted."),
    until: Timestamp.nullable().describe("When its time is over; null if it has no end, or has not started."),
  })
  .meta({ id: "PoolHolder" });

const PoolNode = z
  .object({
    node: z.string().describe("The machine's name."),
    status: z.enum(["ready", "not_ready", "cordoned", "tainted", "gone"]).describe("As in the list of machines."),
    fault: z
      .string()
      .nullable()
      .describe(
        "What the machine reports to be wrong, or that its provider takes it back, so that no job starts there; else null.",
      ),
    drained: z
      .boolean()
      .describe("Whether an operator drained this machine, its zone or its node group. See the type's `drained` too."),
    zone: z.string().describe("The machine's zone."),
    node_group: z.string().nullable().describe("The node group of EKS that created it; null if unknown."),
    units: z.int().describe("What it offers: GPUs, vCPUs of a shared machine, 1 for another CPU machine."),
    holders: z.array(Holder).describe("Who has capacity there."),
  })
  .meta({ id: "PoolNode" });

const PoolWaiting = z
  .object({
    position: z.int().nullable().describe("Its place in the planner's order; null if the plan does not reach it."),
    user_id: z.string().describe("The user name of the owner."),
    environment_id: z.string().describe("The environment's id in its API."),
    name: z.string().describe("The environment's name, for people."),
    api: z.string().describe("The API through which the environment was created."),
    machines: z.int().describe("Number of machines that it needs at once."),
    units: z.int().describe("What it needs of each."),
    share: z
      .number()
      .describe("The part of this type that its owner has now, 0 to 1. The planner prefers smaller ones."),
    queued_at: Timestamp.describe("Since when it waits."),
    estimated_start_time: Timestamp.nullable().describe("When it should start; null if unknown."),
    reason: z.string().nullable().describe("Why it waits, as its owner reads it."),
  })
  .meta({ id: "PoolWaiting" });

export const AdminPool = z
  .object({
    gpu_type: z.string().describe("The type of GPU."),
    total: z.int().describe("What its machines offer, as of the last plan."),
    free: z.int().describe("How much of that is free."),
    in_use: z.int().describe("How much of that environments have."),
    drained: z.union([ClosedNote, z.null()]).describe("Since when no new jobs are started on it; null while they are."),
    drained_parts: z
      .array(PoolPart)
      .describe("The zones, node groups and machines of it on which no new jobs are started."),
    planned_drains: z
      .array(PlannedPart)
      .describe(
        "The planned drains of it: of a zone, a node group or a machine, or of the whole type if all three are null.",
      ),
    node_count: z.int().describe("Number of machines; `nodes` lists at most 200."),
    nodes: z.array(PoolNode).describe("The machines, with who has capacity there and until when."),
    waiting_count: z.int().describe("Number of environments that wait; `queue` lists at most 100."),
    queue: z.array(PoolWaiting).describe("Those that wait, in the planner's order."),
  })
  .meta({ id: "AdminPool" });

export const NodeGroup = z
  .object({
    node_group: z.string().describe("The group's name."),
    instance_types: z.array(z.string()).describe("Its machine types. Jobs get no new machine of a group with several."),
    zones: z.array(z.string()).describe("The zones of its machines; empty if unknown."),
    min: z.int().nullable().describe("How many machines it always keeps; null if unknown."),
    desired: z.int().nullable().describe("How many machines it should have now; null if unknown."),
    max: z.int().describe("How many machines it may have."),
    active: z.boolean().describe("False while it is being created or deleted, or if it has failed."),
    admits_jobs: z.boolean().describe("Whether its taints and labels let jobs in."),
    lacks: z.enum(lackKinds).nullable().describe("What it lacks to create a machine, as EKS reports; null if nothing."),
    lacks_in: z.array(z.string()).describe("The zones where it lacks that; empty for all of its zones."),
    starts_at: Timestamp.nullable().describe("When its Capacity Block starts; null if it has none."),
    ends_at: Timestamp.nullable().describe("When its Capacity Block ends; null if it has none."),
  })
  .meta({ id: "NodeGroup" });

const NodeGroupsReading = z
  .object({
    groups: z.array(NodeGroup).describe("The managed node groups of the cluster, as of the last answer."),
    read_at: Timestamp.nullable().describe(
      "When EKS told its node groups; null if it never did. These count until the next answer.",
    ),
    asked_at: Timestamp.describe("When EKS was asked last."),
    error: z
      .string()
      .nullable()
      .describe("The kind of error that EKS replied with then; null if it told its node groups."),
  })
  .meta({ id: "NodeGroupsReading" });

export const AdminPools = z
  .object({
    paused: z.union([ClosedNote, z.null()]).describe("Since when no new jobs are started at all; null while they are."),
    pools: z.array(AdminPool).describe("The types with machines, a queue or a closure."),
    node_groups: z
      .union([NodeGroupsReading, z.null()])
      .describe("The last reads of EKS's node groups; null where there were none, as on a local stack."),
  })
  .meta({ id: "AdminPoolList" });

export const examplePools = {
  paused: null,
  pools: [
    {
      gpu_type: "h100",
      total: 8,
      free: 0,
      in_use: 8,
      drained: { since: "2026-01-20T18:30:00Z", by: "alice", reason: "New driver" },
      drained_parts: [],
      planned_drains: [
        {
          zone: "us-east-2a",
          node_group: null,
          node: null,
          at: "2026-01-24T08:00:00Z",
          since: "2026-01-20T18:40:00Z",
          by: "alice",
          reason: "New switch",
          by_provider: false,
        },
      ],
      node_count: 1,
      nodes: [
        {
          node: "ip-10-0-12-34.us-east-2.compute.internal",
          status: "ready",
          fault: null,
          drained: false,
          zone: "us-east-2a",
          node_group: "p5-a",
          units: 8,
          holders: [
            {
              user_id: "jschmidt",
              environment_id: "9e41c7d3-5b00-4c1a-8000-0123456789ab",
              api: "gpu-dev",
              units: 8,
              phase: "active",
              until: "2026-01-21T02:00:00Z",
            },
          ],
        },
      ],
      waiting_count: 1,
      queue: [
        {
          position: 1,
          user_id: "bob",
          environment_id: "3b9f2c10-7a5e-4d21-9c44-56789abcdef0",
          name: "sweep",
          api: "gpu-dev",
          machines: 1,
          units: 4,
          share: 0,
          queued_at: "2026-01-20T18:10:00Z",
          estimated_start_time: null,
          reason: "h100 is drained",
        },
      ],
    },
  ],
  node_groups: {
    groups: [
      {
        node_group: "p5-a",
        instance_types: ["p5.48xlarge"],
        zones: ["us-east-2a", "us-east-2b"],
        min: 0,
        desired: 1,
        max: 4,
        active: true,
        admits_jobs: true,
        lacks: "machines",
        lacks_in: ["us-east-2a"],
        starts_at: null,
        ends_at: null,
      },
    ],
    read_at: "2026-01-20T18:18:00Z",
    asked_at: "2026-01-20T18:28:00Z",
    error: "ThrottlingException",
  },
};
