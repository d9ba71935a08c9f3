import { expect, test } from "vitest";
import * as z from "zod";
import { Problem } from "#core/problem.ts";
import { asAlice, fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { buildApp } from "../app.ts";
import { dev8 } from "../dialects/dev8.ts";
import { novita } from "../dialects/novita.ts";
import { onmemos } from "../dialects/onmemos.ts";
import { wholeNumber } from "./query.ts";

const Nothing = z.object({});

test("the fields of a form endpoint come from the query, and missing ones from a form or from JSON", async () => {
  const runtime = await fixtureRuntime();
  const body = z.object({ command: z.string().min(1), timeout: wholeNumber(1, 3600).default(120) });
  const options = { summary: "Run", uses: [], form: true, body, reply: z.unknown() } as const;
  const app = buildApp(runtime, [onmemos.post("/v1/sessions/run", options, async (input) => input.body)]);
  const post = async (query: string, sent?: string, type = "application/x-www-form-urlencoded") => {
    const headers = { ...asAlice, "Content-Type": type };
    const init = { method: "POST", headers, body: sent ?? null };
    return (await app.request(`/v1/sessions/run${query}`, init)).json();
  };

  expect(await post("?command=echo+%22a%2Bb%22%20100%&timeout=5")).toEqual({ command: 'echo "a+b" 100%', timeout: 5 });
  expect(await post("", "command=a%2Bb+c&timeout=7")).toEqual({ command: "a+b c", timeout: 7 });
  expect(await post("?timeout=5", '{"command":"a=b","timeout":9}')).toEqual({ command: "a=b", timeout: 5 });
  expect(await post("?command=one", "command=two", "text/plain")).toEqual({ command: "one", timeout: 120 });
  expect(await post("", "")).toEqual({ detail: "command is required" });
  expect(await post("?command=")).toEqual({ detail: "command is required" });
  expect(await post("?command=x&timeout=0")).toEqual({ detail: "timeout must be between 1 and 3600" });
  expect(await post("?command=x&timeout=1.5")).toEqual({ detail: "timeout must be an integer" });
  expect(await post("", "{")).toEqual({ detail: "Invalid JSON body" });
});

test("a DELETE with declared body fields reads its body, with comments if the dialect allows them", async () => {
  const runtime = await fixtureRuntime();
  const body = z.object({ workspaceId: z.string("workspaceId is required (UUID from database)").min(1) });
  const options = { summary: "Delete", uses: [], body, reply: z.object({ id: z.string() }) } as const;
  const path = "/api/v1/environments";
  const app = buildApp(runtime, [dev8.delete(path, options, async (input) => ({ id: input.body.workspaceId }))]);
  const remove = async (sent: string | null) =>
    (await app.request(path, { method: "DELETE", headers: asAlice, body: sent })).json();

  expect(await remove('{ // which\n"workspaceId": "https://x" /* all of it */ }')).toEqual({ id: "https://x" });
  expect(await remove(null)).toMatchObject({ message: "workspaceId is required (UUID from database)" });
  expect(await remove("{")).toMatchObject({ error: "Invalid request body" });
});

test("only novita shows a problem's own code", async () => {
  const runtime = await fixtureRuntime();
  const options = { summary: "X", uses: [], reply: Nothing } as const;
  const fail = async () => {
    throw new Problem("notFound", "Instance a not found", { code: "INSTANCE_NOT_FOUND" });
  };
  const app = buildApp(runtime, [novita.get("/api/x", options, fail), dev8.get("/api/v1/x", options, fail)]);
  const get = async (path: string) => (await app.request(path, { headers: asAlice })).json();

  expect(await get("/api/x")).toMatchObject({ error: { code: "INSTANCE_NOT_FOUND", message: "Instance a not found" } });
  expect(await get("/api/v1/x")).toEqual({
    success: false,
    error: "Resource Not Found",
    message: "Instance a not found",
    code: "ERR_404",
  });
});

test("novita reports all bad fields without secrets and without the siblings of a missing field", async () => {
  const runtime = await fixtureRuntime();
  const body = z.object({
    name: z.string("Name is required"),
    productName: z.string(),
    templateId: z.string(),
    gpuNum: z.int().min(1).max(8).default(1),
    webhookUrl: z.url("webhookUrl must be a valid http or https URL").optional(),
  });
  const options = { summary: "X", uses: [], body, reply: Nothing } as const;
  const app = buildApp(runtime, [novita.post("/api/x", options, async () => ({}))]);
  const details = async (sent: object) => {
    const init = { method: "POST", headers: asAlice, body: JSON.stringify(sent) };
    return ((await (await app.request("/api/x", init)).json()) as { error: { details: unknown } }).error.details;
  };

  expect(await details({})).toEqual([
    { field: "name", message: "Name is required", value: null },
    { field: "productName", message: "productName is required", value: null },
    { field: "templateId", message: "templateId is required", value: null },
  ]);
  expect(await details({ name: "n", productName: "", templateId: 7, gpuNum: 9, webhookUrl: "x" })).toEqual([
    { field: "templateId", message: "templateId must be a string", value: 7 },
    { field: "gpuNum", message: "gpuNum must be between 1 and 8", value: 9 },
    { field: "webhookUrl", message: "webhookUrl must be a valid http or https URL", value: "***" },
  ]);
});
