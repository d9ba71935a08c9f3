import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { blobs } from "#aws/s3/s3-blobs.ts";
import { queue } from "#aws/sqs/queue.ts";
import { followLog, type LogText, readLog } from "#core/environments/verbs/read-log.ts";
import { Problem } from "#core/problem.ts";
import { type Answer, answer, streamed } from "#http/answers/answer.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/request/query.ts";
import type { OtherWays } from "#http/request/unknown-fields.ts";
import { jsonBody, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { heldRequests } from "./internal/held-requests.ts";
import { findJobId, JobId, JobRef } from "./internal/job-id.ts";
import { logEvents } from "./internal/log-events.ts";
import { newestLines } from "./internal/log-lines.ts";
import { exampleJob } from "./schemas.ts";

const ReadLogs = z.object({
  tail: wholeNumber(1, 10_000).default(200).describe("Number of lines to return, counted from the end."),
  after: wholeNumber(0)
    .optional()
    .describe(
      "Position from which on to read, the `next` of an earlier answer, 0 for the beginning. `tail` then does not count.",
    ),
  wait: wholeNumber(0, 20)
    .default(0)
    .describe("With `after`: seconds to wait for output if there is none yet, at most 20."),
  download: z.enum(["0", "1"]).default("0").describe("1 for the whole log that is kept, as a text file."),
});

const Logs = z
  .object({
    job_id: JobId,
    logs: z.string().describe("Standard output and error of the command, as one text."),
    truncated: z
      .boolean()
      .describe("Whether older output is missing: before these lines, or between `after` and this output."),
    next: z.string().describe("The position behind this output. Send it as `after` to go on from there."),
    ended: z
      .boolean()
      .describe("Whether nothing follows any more: the job has ended, and this was the end of its log."),
    ignored: z
      .array(z.string())
      .optional()
      .describe("Unknown fields and parameters of the request. Omitted if there are none."),
  })
  .meta({ id: "JobLogs" });

/** As JSON, control characters take six times as much, and the answer of a function may have 6 MB. */
const MOST_FOLLOWED = 512 * 1024;

const follow = "Send `next` of the last answer as `after`, and `wait` to be answered once there is more.";

const otherLogFields: OtherWays = { follow, since: follow, sincetime: follow, sinceseconds: follow };

const route = createRoute({
  method: "get",
  path: "/v1/jobs/{job_id}/logs",
  operationId: "getJobLogs",
  tags: ["Jobs"],
  summary: "Read what a job's command printed",
  description:
    "The newest MiB at most, kept for 7 days after the end. A client that accepts `text/plain` and not JSON gets only the " +
    "text. A client that accepts `text/event-stream` gets events, if the deployment streams: `log` with a cursor as id, " +
    "`ended`, `closed`.",
  request: { params: JobRef, query: ReadLogs },
  responses: {
    200: {
      description: "Success",
      content: {
        ...jsonBody(Logs, {
          "Two lines": {
            job_id: exampleJob.job_id,
            logs: "epoch 1\nepoch 2\n",
            truncated: false,
            next: "16",
            ended: false,
          },
        }).content,
        "text/plain": { schema: z.string() },
        "text/event-stream": { schema: z.string() },
      },
    },
    409: problemReply("Several of your jobs begin like this"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue", "blobs"], instead: otherLogFields, reply: z.union([Logs, z.string()]), pace: "waits" },
  async ({ ctx, params, query, accept, deployment, ignored, checkKey, lastEventId }) => {
    const id = await findJobId(ctx, params);
    const { after, wait, tail, download } = query;
    const live = deployment.liveLogs;
    const held = heldRequests(ctx.table);
    if (download === "1") return asText(allLines(await readLog(ctx, id, live)), `attachment; filename="${id}.log"`);
    const position = cursorIn(lastEventId) ?? after;
    const { uid } = ctx.actor;
    if (deployment.streams && accepts(accept, "text/event-stream")) {
      if (!held.hasRoom("stream", uid)) throw new Problem("quota", tooManyStreams);
      const first = position === undefined ? newest(await readLog(ctx, id, live), tail) : undefined;
      const hold = () => held.hold("stream", uid);
      const from = { first, after: position ?? 0, mostBytes: MOST_FOLLOWED };
      return streamed(logEvents({ ctx, id, ...from, live, checkKey, hold }), { contentType: "text/event-stream" });
    }
    const asJson = ignored.length > 0 ? { job_id: id, ignored } : { job_id: id };
    if (after === undefined) return shown(newest(await readLog(ctx, id, live), tail), accept, asJson);
    const letGo = wait > 0 ? held.hold("wait", uid) : undefined;
    try {
      const waitMs = letGo ? wait * 1000 : 0;
      const request = { after, mostBytes: MOST_FOLLOWED, waitMs, wantsFresh: wait === 0 };
      return shown(await followLog(ctx, id, request, live), accept, asJson);
    } finally {
      letGo?.();
    }
  },
);

export const handler = lambda(endpoint, { table, queue, blobs });

const tooManyStreams = "Too many logs are followed as event streams now: close one first";

interface AboutLog {
  readonly job_id: string;
  readonly ignored?: readonly string[];
}

function shown({ text, cut, next, ended }: LogText, accept: string, { job_id, ignored }: AboutLog) {
  if (wantsText(accept)) return asText(text);
  const named = ignored && { ignored: [...ignored] };
  return { job_id, logs: text, truncated: cut, next: String(next), ended, ...named };
}

/** Parses the id of the last event, which a browser sends when it reconnects. */
function cursorIn(lastEventId: string | null): number | undefined {
  return lastEventId !== null && /^\d{1,15}$/.test(lastEventId) ? Number(lastEventId) : undefined;
}

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

/** A client that accepts anything, or both types, gets JSON. */
function wantsText(accept: string): boolean {
  return accepts(accept, "text/plain") && !accepts(accept, "application/json");
}

function accepts(accept: string, type: string): boolean {
  return accept.split(",").some((range) => range.split(";")[0]?.trim().toLowerCase() === type);
}
