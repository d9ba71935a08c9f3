import { createRoute } from "@hono/zod-openapi";
import type * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { audited } from "#core/admin/audit.ts";
import { readUsernames } from "#core/admin/jobs.ts";
import { type PoolsView, readPools } from "#core/admin/pools.ts";
import { wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import type { ServedSettings } from "#http/dialects/settings.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { statusReason } from "../jobs/internal/status.ts";
import { type AdminPool, AdminPools, examplePools, ListPools, type NodeGroup } from "./internal/pool-schemas.ts";
import { toPlace, toPlannedNote } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/v1/admin/pools",
  operationId: "listPools",
  tags: ["Admin"],
  summary: "Machines with their holders, and who waits for them, by type",
  description: "Waiting environments come from an index with a lag of seconds.",
  request: { query: ListPools },
  responses: { 200: jsonReply(AdminPools, { "One type": examplePools }) },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table"], admin: true, timeoutSeconds: 29 },
  async ({ ctx, query, requestId }) => {
    const { gpu_type: type } = query;
    return audited(ctx, { action: "list_pools", target: type ?? null, requestId }, async () => {
      const view = await readPools(ctx, type);
      const owners = view.pools.flatMap(({ nodes, queue }) => [
        ...nodes.flatMap(({ holders }) => holders.map(({ owner }) => owner)),
        ...queue.map(({ environment }) => environment.owner),
      ]);
      const names = await readUsernames(ctx, owners);
      const about: About = {
        now: ctx.clock.now(),
        settings: ctx.settings,
        nameOf: (owner) => names.get(owner) ?? owner,
      };
      return {
        paused: view.paused && toNote(view.paused),
        pools: view.pools.map((pool) => toAdminPool(pool, about)),
        node_groups: view.machineGroups && toReading(view.machineGroups),
      };
    });
  },
);

export const handler = lambda(endpoint, { table });

interface About {
  readonly now: number;
  readonly settings: ServedSettings;
  readonly nameOf: (owner: string) => string;
}

const MOST_NODES = 200;
const MOST_WAITING = 100;

function toAdminPool(pool: PoolsView["pools"][number], about: About): z.infer<typeof AdminPool> {
  const { type, summary, drained, drainedParts, plannedDrains, nodes, queue } = pool;
  return {
    gpu_type: type,
    total: summary.total,
    free: summary.free,
    in_use: summary.inUse,
    drained: drained && toNote(drained),
    drained_parts: drainedParts.map((part) => ({ ...toPlace(part), ...toNote(part) })),
    planned_drains: plannedDrains.map((plan) => ({
      ...toPlace(plan),
      at: wholeSeconds(plan.from),
      ...toNote(plan),
      ...toPlannedNote(plan),
    })),
    node_count: nodes.length,
    nodes: nodes.slice(0, MOST_NODES).map(({ name, state, fault, isDrained, zone, group, units, holders }) => ({
      node: name,
      status: state,
      fault,
      drained: isDrained,
      zone,
      node_group: group,
      units,
      holders: holders.map(({ owner, environment, createdBy, endsAt, phase, units: held }) => ({
        user_id: about.nameOf(owner),
        environment_id: environment,
        api: createdBy,
        units: held,
        phase,
        until: endsAt === null ? null : wholeSeconds(endsAt),
      })),
    })),
    waiting_count: queue.length,
    queue: queue.slice(0, MOST_WAITING).map((entry) => toWaiting(entry, summary.total, about)),
  };
}

function toWaiting(
  { environment, advice, ownersUnits }: PoolsView["pools"][number]["queue"][number],
  total: number,
  { now, settings, nameOf }: About,
) {
  const { id, name, createdBy, owner, size, queuedAt } = environment;
  const startsAt = advice?.start ? advice.start.p50 : advice?.place?.startsAt;
  return {
    position: advice?.place?.position ?? null,
    user_id: nameOf(owner),
    environment_id: id,
    name,
    api: createdBy,
    machines: size.machines,
    units: size.units,
    share: total === 0 ? 0 : Math.round((ownersUnits / total) * 1000) / 1000,
    queued_at: wholeSeconds(queuedAt),
    estimated_start_time: startsAt ? wholeSeconds(startsAt) : null,
    reason: statusReason(environment, { advice, now, settings }),
  };
}

function toReading({ groups, readAt, triedAt, failure }: Groups) {
  return {
    groups: groups.map(toNodeGroup),
    read_at: readAt === undefined ? null : wholeSeconds(readAt),
    asked_at: wholeSeconds(triedAt),
    error: failure ?? null,
  };
}

type Groups = NonNullable<PoolsView["machineGroups"]>;

function toNodeGroup(group: Groups["groups"][number]): z.infer<typeof NodeGroup> {
  const { name, instanceTypes, zones, leastNodes, desiredNodes, mostNodes, isActive, admitsRuns } = group;
  const { lacks, lacksIn, startsAt, endsAt } = group;
  return {
    node_group: name,
    instance_types: [...instanceTypes],
    zones: [...zones],
    min: leastNodes ?? null,
    desired: desiredNodes ?? null,
    max: mostNodes,
    active: isActive,
    admits_jobs: admitsRuns,
    lacks: lacks ?? null,
    lacks_in: [...(lacksIn ?? [])],
    starts_at: startsAt === undefined ? null : wholeSeconds(startsAt),
    ends_at: endsAt === undefined ? null : wholeSeconds(endsAt),
  };
}

function toNote({ at, by, reason }: NonNullable<PoolsView["paused"]>) {
  return { since: at === undefined ? null : wholeSeconds(at), by: by ?? null, reason: reason ?? null };
}
