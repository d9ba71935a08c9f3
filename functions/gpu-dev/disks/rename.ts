import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { volumes } from "#aws/ec2/ebs-volumes.ts";
import { queue } from "#aws/sqs/queue.ts";
import { renameDisk } from "#core/disks/names/rename.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { renameExamples } from "./internal/examples.ts";
import { DiskName, DiskRef, DiskRenamed, parseDiskName, toDiskRenamed } from "./schemas.ts";

const RenameDisk = z.object({ new_name: DiskName.describe("The disk's new name.") }).meta({ id: "RenameDisk" });
const RENAME_SECONDS = 15;
/**
 * Time limit of a call to the cloud (docs/architecture/consistency.md#claims). It leaves time for the writes before
 * and after.
 */
const TAGS_MS = 5_000;

const route = createRoute({
  method: "post",
  path: "/v1/disks/{disk_name}/rename",
  operationId: "renameDisk",
  tags: ["Disks"],
  summary: "Rename a disk",
  request: { params: DiskRef, body: jsonBody(RenameDisk, renameExamples.requests) },
  responses: {
    200: jsonReply(DiskRenamed, renameExamples[200]),
    409: problemReply("The disk is in use, or the new name is taken"),
    410: problemReply("The disk is marked for deletion"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue", "volumes"], creates: "uid", timeoutSeconds: RENAME_SECONDS },
  async ({ ctx, params, body, resource }) => {
    const name = parseDiskName(params);
    const giveUpTags = () => AbortSignal.timeout(TAGS_MS);
    const renamed = await renameDisk(ctx, name, body.new_name, giveUpTags, resource.uid);
    return toDiskRenamed(name, body.new_name, renamed);
  },
);

export const handler = lambda(endpoint, { table, queue, volumes });
