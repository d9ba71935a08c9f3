import * as z from "zod";
import { table } from "#aws/table.ts";
import { listArchives } from "#core/environments/record/archives.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { lambda } from "#lambda/lambda.ts";
import { Backup, isBackupName, toBackup } from "./wire.ts";

const Backups = z.object({ total: z.int(), backups: z.array(Backup) });

export const endpoint = sessionManager.get(
  "/session/backups",
  { summary: "List what was kept of your deleted sessions, the newest first", uses: ["table"], reply: Backups },
  async ({ ctx }) => {
    const kept = (await listArchives(ctx)).filter(({ sk }) => isBackupName(sk));
    return { total: kept.length, backups: kept.map(toBackup) };
  },
);

export const handler = lambda(endpoint, { table });
