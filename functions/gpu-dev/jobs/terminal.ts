import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { issueTerminalTicket } from "#core/environments/access/terminal-tickets.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { findJobId, JobRef } from "./internal/job-id.ts";
import { toStatus } from "./internal/status.ts";

const TerminalId = z
  .string()
  .regex(/^[0-9a-f]{32}$/, "terminal_id must be 32 hexadecimal digits")
  .describe("The terminal's id.");

const OpenTerminal = z
  .object({
    terminal_id: TerminalId.nullish().describe("A terminal of this job to return to. Without it a new one is started."),
  })
  .meta({ id: "OpenJobTerminal" });

const Ticket = z
  .object({
    url: z.string().describe("The WebSocket address of the terminal."),
    ticket: z.string().describe("Opens the terminal once. It goes into the subprotocol `berth.ticket.<ticket>`."),
    expires_at: Timestamp.describe("When the ticket expires, 30 s after the answer."),
    terminal_id: TerminalId,
  })
  .meta({ id: "JobTerminalTicket" });

const terminalId = "5f0c9d2be1a74f7c8e33a0b1c2d4e6f8";
const example = {
  url: "wss://9e41c7d3-5b00-4c1a-8000-0123456789ab.preview.example.com/.berth/terminal",
  ticket: "vT3mPq0l3c8ZkWcH2b9nYs5dJx7fRaUeGg1oQi4tLzE",
  expires_at: "2026-01-20T18:00:30Z",
  terminal_id: terminalId,
};

const route = createRoute({
  method: "post",
  path: "/v1/jobs/{job_id}/terminal",
  operationId: "openJobTerminal",
  tags: ["Jobs"],
  summary: "Get a ticket for a terminal of a job",
  description: "The terminal lives in the job, and outlives its connections by 10 minutes.",
  request: {
    params: JobRef,
    body: jsonBody(OpenTerminal, { "A new one": {}, "An open one": { terminal_id: terminalId } }),
  },
  responses: {
    200: jsonReply(Ticket, { Ticket: example }),
    409: problemReply("The job is not active, or several of your jobs begin like this"),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"] }, async ({ ctx, params, body, origin }) => {
  const id = await findJobId(ctx, params);
  const wanted = { terminal: body.terminal_id ?? undefined, origin };
  const { ticket, label, terminal, expiresAt } = await issueTerminalTicket(ctx, id, wanted, toStatus);
  const scheme = ctx.settings.scheme === "https" ? "wss" : "ws";
  return {
    url: `${scheme}://${label}.${ctx.settings.domain}/.berth/terminal`,
    ticket,
    expires_at: wholeSeconds(expiresAt),
    terminal_id: terminal,
  };
});

export const handler = lambda(endpoint, { table });
