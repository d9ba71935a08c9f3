import { createHash } from "node:crypto";
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { Problem } from "#core/problem.ts";
import { answer } from "#http/answers/answer.ts";
import { readAsset } from "#http/asset.ts";
import { findCliPackage } from "#http/cli-package.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";

const route = createRoute({
  method: "get",
  path: "/cli/{file}",
  hide: true,
  summary: "The packed command line, its SHA-256, and the schema of berth.yaml",
  request: { params: z.object({ file: z.string() }) },
  responses: { 200: { description: "The page", content: {} } },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: [], public: true, reply: z.union([z.string(), z.instanceof(Uint8Array)]), etag: [] },
  async ({ params: { file }, deployment: { cli = findCliPackage } }) => {
    if (file === "berth.schema.json") return answerSchema();
    const found = cli();
    if (!found) throw new Problem("notFound", "Not Found");
    const headers = { ETag: `"${found.sha256}"`, "X-Content-Type-Options": "nosniff" };
    if (file === "berth.tgz") return answer(found.bytes, { contentType: "application/gzip", headers });
    if (file !== "berth.tgz.sha256") throw new Problem("notFound", "Not Found");
    return answer(`${found.sha256}  berth.tgz\n`, { contentType: "text/plain; charset=utf-8", headers });
  },
);

function answerSchema() {
  const text = readAsset("berth.schema.json");
  const headers = { ETag: `"${createHash("sha256").update(text).digest("hex")}"`, "X-Content-Type-Options": "nosniff" };
  return answer(text, { contentType: "application/json", headers });
}

export const handler = lambda(endpoint, {});
