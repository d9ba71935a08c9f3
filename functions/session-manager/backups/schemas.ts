import * as z from "zod";
import type { StoredArchive } from "#core/environments/record/disk/archives.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";

export const BackupRef = z.object({
  name: z
    .string()
    .meta({ example: "workspace-abc12345-20260120-180000.zip" })
    .describe("The file's name, by which it is downloaded."),
});

export const Zip = z
  .custom<Uint8Array>((value) => value instanceof Uint8Array)
  .meta({ type: "string", format: "binary" });

export const Backup = z
  .object({
    name: z.string().describe("The file's name, by which it is downloaded."),
    uuid: z.string().describe("The id of the deleted session."),
    status: z
      .enum(["completed", "failed", "late"])
      .describe("`completed`; `late` if the deletion did not wait for it; `failed` if there is no file."),
    size_bytes: z.int().describe("Size of the zip in bytes."),
    created_at: Timestamp.describe("When it was created."),
  })
  .meta({ id: "IdeBackup" });

const form = /^workspace-[0-9a-f]{8}-\d{8}-\d{6}\.zip$/;

export function isBackupName(name: string): boolean {
  return form.test(name);
}

export function toBackup({ sk, environment, state, bytes, at }: StoredArchive): z.infer<typeof Backup> {
  return { name: sk, uuid: environment, status: state, size_bytes: bytes, created_at: wholeSeconds(at) };
}
