import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { blobs } from "#aws/s3/s3-blobs.ts";
import { readArchive } from "#core/environments/record/disk/archives.ts";
import { Problem } from "#core/problem.ts";
import { answer } from "#http/answers/answer.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { lambda } from "#lambda/lambda.ts";
import { BackupRef, isBackupName, Zip } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/session/backups/{name}",
  operationId: "downloadIdeBackup",
  tags: ["IDE backups"],
  summary: "Download the files of a deleted session as a zip",
  request: { params: BackupRef },
  responses: {
    200: { description: "The zip", content: { "application/zip": { schema: Zip } } },
    302: { description: "The zip is at `Location`, for 15 minutes and without a key", content: {} },
  },
});

export const endpoint = sessionManager.endpoint(
  route,
  { uses: ["table", "blobs"], reply: Zip, timeoutSeconds: 29 },
  async ({ ctx, params }) => {
    const name = params.name.slice(0, 128);
    if (!isBackupName(name)) throw new Problem("notFound", `Backup ${name} not found`);
    const archive = await readArchive(ctx, name);
    // The address needs no key for some minutes, so no record or log holds it.
    if ("url" in archive) {
      return answer(new Uint8Array(), { status: 302, contentType: "text/plain", headers: { Location: archive.url } });
    }
    return answer(archive.bytes, {
      contentType: "application/zip",
      headers: { "Content-Disposition": `attachment; filename="${name}"` },
    });
  },
);

export const handler = lambda(endpoint, { table, blobs });
