import { createRoute } from "@hono/zod-openapi";
import { expect, test } from "vitest";
import * as z from "zod";
import { Problem } from "#core/problem.ts";
import { asAlice, fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { buildApp } from "../app.ts";
import { dev8 } from "../dialects/dev8.ts";
import { novita } from "../dialects/novita.ts";
import { onmemos } from "../dialects/onmemos.ts";
import { jsonBody, jsonReply } from "../route.ts";
import { wholeNumber } from "./query.ts";

const Nothing = z.object({});

test("the fields of a form endpoint come from the query, and missing ones from a form or from JSON", async () => {
  const runtime = await fixtureRuntime();
  const body = z.object({ command: z.string().min(1), timeout: wholeNumber(1, 3600).default(120) });
  const route = createRoute({
    method: "post",
    path: "/v1/sessions/run",
    request: { body: jsonBody(body) },
    responses: { 200: jsonReply(z.unknown()) },
  });
  const app = buildApp(runtime, [onmemos.endpoint(route, { uses: [], form: true }, async (input) => input.body)]);
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
  const path = "/api/v1/environments";
  const reply = jsonReply(z.object({ id: z.string() }));
  const route = createRoute({ method: "delete", path, request: { body: jsonBody(body) }, responses: { 200: reply } });
  const app = buildApp(runtime, [
    dev8.endpoint(route, { uses: [] }, async (input) => ({ id: input.body.workspaceId })),
  ]);
  const remove = async (sent: string | null) =>
    (await app.request(path, { method: "DELETE", headers: asAlice, body: sent })).json();

  expect(await remove('{ // which\n"workspaceId": "https://x" /* all of it */ }')).toEqual({ id: "https://x" });
  expect(await remove(null)).toMatchObject({ message: "workspaceId is required (UUID from database)" });
  expect(await remove("{")).toMatchObject({ error: "Invalid request body" });
});

test("only novita shows a problem's own code", async () => {
  const runtime = await fixtureRuntime();
  const route = createRoute({ method: "get", path: "/api/x", responses: { 200: jsonReply(Nothing) } });
  const fail = async () => {
    throw new Problem("notFound", "Instance a not found", { code: "INSTANCE_NOT_FOUND" });
  };
  const app = buildApp(runtime, [
    novita.endpoint(route, { uses: [] }, fail),
    dev8.endpoint({ ...route, path: "/api/v1/x" }, { uses: [] }, fail),
  ]);
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
  const route = createRoute({
    method: "post",
    path: "/api/x",
    request: { body: jsonBody(body) },
    responses: { 200: jsonReply(Nothing) },
  });
  const app = buildApp(runtime, [novita.endpoint(route, { uses: [] }, async () => ({}))]);
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
