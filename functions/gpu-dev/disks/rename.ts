import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { volumes } from "#aws/ec2/ebs-volumes.ts";
import { queue } from "#aws/sqs/queue.ts";
import type { Renamed } from "#core/disks/names/rename.ts";
import { renameDisk } from "#core/disks/names/rename.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskName, DiskRef, parseDiskName } from "./schemas.ts";

const RenameDisk = z.object({ new_name: DiskName.describe("The disk's new name.") }).meta({ id: "RenameDisk" });
const RENAME_SECONDS = 15;
/**
 * Time limit of a call to the cloud (docs/architecture/consistency.md#claims). It leaves time for the writes before
 * and after.
 */
const TAGS_MS = 5_000;

function renamed(snapshots: string, snapshots_updated: number) {
  const message = `Disk renamed from 'old-disk-name' to 'new-disk-name' (${snapshots})`;
  return { message, old_name: "old-disk-name", new_name: "new-disk-name", snapshots_updated };
}

const DiskRenamed = z
  .object({
    message: z.string().describe("What happened, in words."),
    old_name: z.string().describe("The disk's former name."),
    new_name: z.string().describe("The disk's new name."),
    snapshots_updated: z.int().describe("Number of snapshots that carry the new name."),
    errors: z
      .array(z.string())
      .optional()
      .describe("Snapshots that could not be renamed, and why; absent where all were."),
  })
  .meta({ id: "DiskRenamed" });

const route = createRoute({
  method: "post",
  path: "/v1/disks/{disk_name}/rename",
  operationId: "renameDisk",
  tags: ["Disks"],
  summary: "Rename a disk",
  request: {
    params: DiskRef,
    body: jsonBody(RenameDisk, {
      "A new name": { new_name: "my-training-data-v2" },
      "Another one": { new_name: "new-disk-name" },
    }),
  },
  responses: {
    200: jsonReply(DiskRenamed, {
      "With its snapshots": renamed("3 snapshots updated", 3),
      "Without any": renamed("no snapshots found", 0),
      "But one": { ...renamed("2/3 snapshots updated", 2), errors: ["snap-1234567890abcdef: Access denied"] },
    }),
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

function toDiskRenamed(oldName: string, newName: string, renamed: Renamed): z.infer<typeof DiskRenamed> {
  return {
    message: `Disk renamed from '${oldName}' to '${newName}' (${snapshotWords(renamed)})`,
    old_name: oldName,
    new_name: newName,
    snapshots_updated: renamed.updated,
    ...(renamed.errors.length > 0 && { errors: [...renamed.errors] }),
  };
}

function snapshotWords({ snapshots, updated }: Renamed): string {
  if (snapshots === 0) return "no snapshots found";
  return `${updated === snapshots ? updated : `${updated}/${snapshots}`} snapshots updated`;
}
