import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { getOperation, type Operation } from "#core/disks/operations.ts";
import { Problem } from "#core/problem.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { AS_PRINTED, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { cut, DiskRef, deleteDate, diskNamePattern, exampleOperation } from "./schemas.ts";

const OperationRef = DiskRef.extend({
  operation_id: z
    .string()
    .describe("The id of the request, for `GET /v1/disks/{disk_name}/operations/{operation_id}`."),
});

const DiskOperation = z
  .object({
    operation_id: z
      .string()
      .describe("The id of the request, for `GET /v1/disks/{disk_name}/operations/{operation_id}`."),
    disk_name: z.string().describe("The disk's name: at most 64 letters, digits, hyphens and underscores."),
    status: z.enum(["pending", "in_progress", "completed", "failed"]).describe("The request's current state."),
    error: z.string().nullable().describe("Why the request failed; null unless it did."),
    is_deleted: z.boolean().describe("Whether the request was a deletion."),
    delete_date: z
      .string()
      .meta({ format: "date", example: "2026-02-19" })
      .nullable()
      .describe("The day on which the deleted disk is removed for good; null unless it is deleted."),
    created_at: Timestamp.describe("When it was created."),
    last_updated: Timestamp.describe("When the request last changed state."),
    completed: z.boolean().describe("Whether the request is finished, successfully or not."),
    action: z.enum(["create", "delete", "undelete", "snapshot"]).describe("The requested action."),
    snapshot_id: z.string().optional().describe("The snapshot that the request made; absent unless it made one."),
  })
  .meta({ id: "DiskOperation" });

const made = {
  operation_id: exampleOperation,
  disk_name: "my-training-data",
  status: "completed",
  error: null,
  is_deleted: false,
  delete_date: null,
  created_at: "2026-01-20T18:30:00Z",
  last_updated: "2026-01-20T18:35:00Z",
  completed: true,
  action: "create",
};

const route = createRoute({
  method: "get",
  path: "/v1/disks/{disk_name}/operations/{operation_id}",
  operationId: "getDiskOperation",
  tags: ["Disks"],
  summary: "Show what became of a request on a disk",
  request: { params: OperationRef },
  parameters: [{ name: "operation_id", in: "path", example: "op-5f0c7d1e-2b3a-4c5d-8e6f-0123456789ab" }],
  responses: {
    200: jsonReply(DiskOperation, {
      "A disk that is made": made,
      "A deletion that is done": {
        ...made,
        is_deleted: true,
        delete_date: "2026-02-19",
        last_updated: "2026-01-20T18:31:00Z",
        action: "delete",
      },
      [AS_PRINTED]: { ...made, operation_id: "op-123-abc" },
    }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"] }, async ({ ctx, params }) => {
  const { name, id } = parseOperationRef(params);
  return toDiskOperation(await getOperation(ctx, ctx.actor.uid, name, id), name);
});

export const handler = lambda(endpoint, { table });

function parseOperationRef({ disk_name, operation_id }: z.infer<typeof OperationRef>): {
  name: string;
  id: string;
} {
  if (diskNamePattern.test(disk_name) && /^op-[0-9a-f-]{36}$/.test(operation_id))
    return { name: disk_name, id: operation_id };
  throw new Problem("notFound", `Operation '${cut(operation_id)}' not found for disk '${cut(disk_name)}'`);
}

/** `name` is the name in the request; the disk may have been renamed since. */
function toDiskOperation(operation: Operation, name: string): z.infer<typeof DiskOperation> {
  const { id, status, error, action, createdAt, updatedAt, snapshot } = operation;
  return {
    operation_id: id,
    disk_name: name,
    status,
    error: status === "failed" ? error : null,
    is_deleted: action === "delete",
    delete_date: deleteDate(operation),
    created_at: wholeSeconds(createdAt),
    last_updated: wholeSeconds(updatedAt),
    completed: status === "completed" || status === "failed",
    action,
    ...(snapshot !== undefined && { snapshot_id: snapshot }),
  };
}
