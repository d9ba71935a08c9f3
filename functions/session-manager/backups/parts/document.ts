import type { NounDocument } from "#http/noun-document.ts";
import { Backup, Zip } from "../wire.ts";

export const document: NounDocument = {
  tag: "IDE backups",
  schemas: { IdeBackup: Backup },
  fields: {
    name: "The file's name, by which it is downloaded.",
    uuid: "The id of the deleted session.",
    status: "`completed`; `late` where the deletion did not wait for it; `failed` where there is no file.",
    size_bytes: "Size of the zip in bytes.",
    backups: "Your backups, newest first.",
  },
  operations: {
    list: {
      id: "listIdeBackups",
      reply: "IdeBackupList",
      replies: {
        200: {
          examples: {
            "One backup": {
              total: 1,
              backups: [
                {
                  name: "workspace-abc12345-20260120-180000.zip",
                  uuid: "abc12345",
                  status: "completed",
                  size_bytes: 1048576,
                  created_at: "2026-01-20T18:00:00Z",
                },
              ],
            },
          },
        },
      },
    },
    download: {
      id: "downloadIdeBackup",
      replies: {
        200: { description: "The zip", content: { "application/zip": Zip } },
        302: { description: "The zip is at `Location`, for 15 minutes and without a key", content: {} },
      },
    },
  },
};
