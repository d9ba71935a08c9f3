import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { blobs } from "#aws/s3-blobs.ts";
import { table } from "#aws/table.ts";
import { followLog, type LogText, readLog } from "#core/environments/verbs/read-log.ts";
import { type Answer, answer } from "#http/answer.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/query.ts";
import { lambda } from "#lambda/lambda.ts";
import { findJobId } from "./parts/job-id.ts";
import { newestLines } from "./parts/log-lines.ts";
import { JobRef, Logs } from "./wire.ts";

const ReadLogs = z.object({
  tail: wholeNumber(1, 10_000).default(200),
  after: wholeNumber(0).optional(),
  wait: wholeNumber(0, 20).default(0),
  download: z.enum(["0", "1"]).default("0"),
});

/** As JSON, control characters take six times as much, and the answer of a function may have 6 MB. */
const MOST_FOLLOWED = 512 * 1024;

export const endpoint = gpuDev.get(
  "/v1/jobs/{job_id}/logs",
  {
    summary: "Read what a job's command printed",
    uses: ["table", "queue", "blobs"],
    params: JobRef,
    query: ReadLogs,
    reply: z.union([Logs, z.string()]),
    pace: "waits",
  },
  async ({ ctx, params, query, accept }) => {
    const id = await findJobId(ctx, params);
    const { after, wait, tail, download } = query;
    if (download === "1") return asText(allLines(await readLog(ctx, id)), `attachment; filename="${id}.log"`);
    const kept =
      after === undefined
        ? newest(await readLog(ctx, id), tail)
        : await followLog(ctx, id, { after, mostBytes: MOST_FOLLOWED, waitMs: wait * 1000, wantsFresh: wait === 0 });
    if (wantsText(accept)) return asText(kept.text);
    return { job_id: id, logs: kept.text, truncated: kept.cut, next: String(kept.next), ended: kept.ended };
  },
);

export const handler = lambda(endpoint, { table, queue, blobs });

function newest(kept: LogText, lines: number): LogText {
  const { text, isCut } = newestLines(kept.text, lines);
  return { ...kept, text, cut: kept.cut || isCut };
}

function allLines({ text }: LogText): string {
  return newestLines(text, Number.POSITIVE_INFINITY).text;
}

function asText(text: string, disposition?: string): Answer<string> {
  const headers = { "X-Content-Type-Options": "nosniff", ...(disposition && { "Content-Disposition": disposition }) };
  return answer(text, { contentType: "text/plain; charset=utf-8", headers });
}

/** Text is named and JSON is not: a client that takes anything, or both, gets JSON. */
function wantsText(accept: string): boolean {
  const types = accept.split(",").map((range) => range.split(";")[0]?.trim().toLowerCase());
  return types.includes("text/plain") && !types.includes("application/json");
}
