import * as z from "zod";
import { blobs } from "#aws/blobs.ts";
import { table } from "#aws/table.ts";
import { readArchive } from "#core/environments/archives.ts";
import { Problem } from "#core/problem.ts";
import { answer } from "#http/answer.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { lambda } from "#lambda/lambda.ts";
import { BackupRef, isBackupName } from "./wire.ts";

const Zip = z.custom<Uint8Array>((value) => value instanceof Uint8Array).meta({ type: "string", format: "binary" });

export const endpoint = sessionManager.get(
  "/session/backups/{name}",
  {
    summary: "Download the files of a deleted session as a zip",
    uses: ["table", "blobs"],
    params: BackupRef,
    reply: Zip,
    timeoutSeconds: 29,
  },
  async ({ ctx, params }) => {
    const name = params.name.slice(0, 128);
    if (!isBackupName(name)) throw new Problem("notFound", `Backup ${name} not found`);
    const bytes = await readArchive(ctx, name);
    return answer(bytes, {
      contentType: "application/zip",
      headers: { "Content-Disposition": `attachment; filename="${name}"` },
    });
  },
);

export const handler = lambda(endpoint, { table, blobs });
