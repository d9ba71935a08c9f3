import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { blobs } from "#aws/s3-blobs.ts";
import { table } from "#aws/table.ts";
import { readLog } from "#core/environments/verbs/read-log.ts";
import { answer } from "#http/answer.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/query.ts";
import { lambda } from "#lambda/lambda.ts";
import { findJobId } from "./parts/job-id.ts";
import { newestLines } from "./parts/log-lines.ts";
import { JobRef, Logs } from "./wire.ts";

const Tail = z.object({ tail: wholeNumber(1, 10_000).default(200) });

export const endpoint = gpuDev.get(
  "/v1/jobs/{job_id}/logs",
  {
    summary: "Read what a job's command printed",
    uses: ["table", "queue", "blobs"],
    params: JobRef,
    query: Tail,
    reply: z.union([Logs, z.string()]),
  },
  async ({ ctx, params, query, accept }) => {
    const id = await findJobId(ctx, params);
    const kept = await readLog(ctx, id);
    const { text, isCut } = newestLines(kept.text, query.tail);
    if (!wantsText(accept)) return { job_id: id, logs: text, truncated: kept.cut || isCut };
    return answer(text, {
      contentType: "text/plain; charset=utf-8",
      headers: { "X-Content-Type-Options": "nosniff" },
    });
  },
);

export const handler = lambda(endpoint, { table, queue, blobs });

/** Text is named and JSON is not: a client that takes anything, or both, gets JSON. */
function wantsText(accept: string): boolean {
  const types = accept.split(",").map((range) => range.split(";")[0]?.trim().toLowerCase());
  return types.includes("text/plain") && !types.includes("application/json");
}
