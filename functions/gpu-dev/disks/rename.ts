import * as z from "zod";
import { volumes } from "#aws/ebs-volumes.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { renameDisk } from "#core/disks/rename.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskName, DiskRef, DiskRenamed, diskNameOf, toDiskRenamed } from "./wire.ts";

const RenameDisk = z.object({ new_name: DiskName });
const RENAME_SECONDS = 15;
/**
 * The time limit of a call to the cloud (docs/architecture.md#claims). It leaves time for the writes before and after.
 */
const TAGS_MS = 5_000;

export const endpoint = gpuDev.post(
  "/v1/disks/{disk_name}/rename",
  {
    summary: "Rename a disk",
    uses: ["table", "queue", "volumes"],
    params: DiskRef,
    body: RenameDisk,
    reply: DiskRenamed,
    creates: "uid",
    timeoutSeconds: RENAME_SECONDS,
  },
  async ({ ctx, params, body, resource }) => {
    const name = diskNameOf(params);
    const giveUpTags = () => AbortSignal.timeout(TAGS_MS);
    const renamed = await renameDisk(ctx, name, body.new_name, giveUpTags, resource.uid);
    return toDiskRenamed(name, body.new_name, renamed);
  },
);

export const handler = lambda(endpoint, { table, queue, volumes });
