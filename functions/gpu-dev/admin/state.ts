import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { audited } from "#core/admin/audit.ts";
import { type OperatorState, readOperatorState } from "#core/admin/state.ts";
import type { OperatorNote } from "#core/pools/admission/admission.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { drainedPart, plannedDrain, plannedNote, toDrainedPart, toPlannedDrain, toPlannedNote } from "./schemas.ts";

const note = {
  since: Timestamp.nullable().describe(
    "When an operator closed it or called it dead; null if an older version noted no time.",
  ),
  by: z.string().nullable().describe("The operator who did; null if an older version noted no name."),
  reason: z.string().nullable().describe("Why, in the operator's words; null if none were given."),
};

const AdminState = z
  .object({
    paused: z
      .object(note)
      .nullable()
      .describe("Since when and why no new jobs are started at all; null while they are."),
    drained: z
      .array(z.object({ gpu_type: z.string().describe("The type of GPU."), ...note }).meta({ id: "DrainedType" }))
      .describe("The GPU types on which no new jobs are started."),
    drained_parts: z
      .array(z.object({ ...drainedPart, ...note }).meta({ id: "NotedDrainedPart" }))
      .describe("The zones, node groups and machines on which no new jobs of a GPU type are started, oldest first."),
    planned_drains: z
      .array(z.object({ ...plannedDrain, ...note, ...plannedNote }).meta({ id: "NotedPlannedDrain" }))
      .describe(
        "The planned drains: of a zone, a node group or a machine, or of the whole type if all three are null.",
      ),
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

const route = createRoute({
  method: "get",
  path: "/v1/admin/state",
  operationId: "showAdminState",
  tags: ["Admin"],
  summary: "What operators closed or called dead, since when, and why",
  responses: {
    200: jsonReply(AdminState, {
      "One type and a zone of another are drained": {
        paused: null,
        drained: [{ gpu_type: "h100", since: "2026-01-20T18:30:00Z", by: "alice", reason: "New driver" }],
        drained_parts: [
          {
            gpu_type: "a100",
            zone: "us-east-2a",
            node_group: null,
            node: null,
            since: "2026-01-20T18:40:00Z",
            by: "alice",
            reason: "New switch",
          },
        ],
        planned_drains: [],
        gone_nodes: [],
        gone_node_count: 0,
      },
    }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"], admin: true }, async ({ ctx, requestId }) =>
  audited(ctx, { action: "show_state", target: null, requestId }, async () =>
    toAdminState(await readOperatorState(ctx)),
  ),
);

export const handler = lambda(endpoint, { table });

function toAdminState(state: OperatorState): z.infer<typeof AdminState> {
  return {
    paused: state.paused && toNote(state.paused),
    drained: state.drained.map((closure) => ({ gpu_type: closure.type, ...toNote(closure) })),
    drained_parts: state.drainedParts.map((part) => ({ ...toDrainedPart(part), ...toNote(part) })),
    planned_drains: state.plannedDrains.map((plan) => ({
      ...toPlannedDrain(plan),
      ...toNote(plan),
      ...toPlannedNote(plan),
    })),
    gone_nodes: state.goneNodes.map(({ name, uid, pool, since, until, ...rest }) => {
      return { node: name, uid, gpu_type: pool, ...toNote({ at: since, ...rest }), until: wholeSeconds(until) };
    }),
    gone_node_count: state.goneNodeCount,
  };
}

function toNote({ at, by, reason }: { readonly at?: number } & Partial<OperatorNote>) {
  return { since: at === undefined ? null : wholeSeconds(at), by: by ?? null, reason: reason ?? null };
}
