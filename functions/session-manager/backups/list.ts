import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { listArchives } from "#core/environments/record/disk/archives.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { Backup, isBackupName, toBackup } from "./schemas.ts";

const Backups = z
  .object({
    total: z.int().describe("Number of entries in all."),
    backups: z.array(Backup).describe("Your backups, newest first."),
  })
  .meta({ id: "IdeBackupList" });

const route = createRoute({
  method: "get",
  path: "/session/backups",
  operationId: "listIdeBackups",
  tags: ["IDE backups"],
  summary: "List the archives of your deleted sessions, the newest first",
  responses: {
    200: jsonReply(Backups, {
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
    }),
  },
});

export const endpoint = sessionManager.endpoint(route, { uses: ["table"] }, async ({ ctx }) => {
  const kept = (await listArchives(ctx)).filter(({ sk }) => isBackupName(sk));
  return { total: kept.length, backups: kept.map(toBackup) };
});

export const handler = lambda(endpoint, { table });
