import * as z from "zod";
import { renameDisk } from "#core/disks/rename.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { DiskName, DiskRef, DiskRenamed, diskNameOf, toDiskRenamed } from "./wire.ts";

const RenameDisk = z.object({ new_name: DiskName });
const RENAME_SECONDS = 15;

export const endpoint = gpuDev.post(
  "/v1/disks/{disk_name}/rename",
  {
    summary: "Rename a disk",
    uses: ["table", "queue", "volumes"],
    params: DiskRef,
    body: RenameDisk,
    reply: DiskRenamed,
    timeoutSeconds: RENAME_SECONDS,
  },
  async ({ ctx, params, body }) => {
    const name = diskNameOf(params);
    return toDiskRenamed(name, body.new_name, await renameDisk(ctx, name, body.new_name));
  },
);
