import { createRoute } from "@hono/zod-openapi";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { asAlice, fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { buildApp } from "../app.ts";
import { dev8 } from "../dialects/dev8.ts";
import { gpuDev } from "../dialects/gpu-dev.ts";
import { novita } from "../dialects/novita.ts";
import { onmemos } from "../dialects/onmemos.ts";
import { sessionManager } from "../dialects/session-manager.ts";
import { jsonBody, jsonReply } from "../route.ts";

const request = {
  query: z.object({ limit: z.string().optional() }),
  body: jsonBody(z.object({ size: z.int().optional(), color: z.string().nullish() })),
};

const dialects = [
  ["gpu-dev", gpuDev, "/v1/things"],
  ["session-manager", sessionManager, "/v1/sessions/things"],
  ["onmemos", onmemos, "/v1/cloudrun/things"],
  ["novita", novita, "/api/things"],
  ["dev8", dev8, "/api/v1/things"],
] as const;

describe.each(dialects)("an answer of %s", (_, dialect, path) => {
  const send = async (query: string, body: unknown) => {
    const route = createRoute({ method: "post", path, request, responses: { 200: jsonReply(z.unknown()) } });
    const endpoint = dialect.endpoint(route, { uses: [] }, async ({ ignored }) => ({ ignored }));
    const app = buildApp(await fixtureRuntime(), [endpoint]);
    return app.request(path + query, { method: "POST", headers: asAlice, body: JSON.stringify(body) });
  };

  test("names ignored fields in a header and to its verb", async () => {
    const response = await send("?color=1", { size: 1, start_time: "tomorrow", shape: { a: 1 } });

    expect(response.headers.get("berth-ignored")).toBe("color, start_time, shape");
    expect(await response.json()).toEqual({ ignored: ["color", "start_time", "shape"] });
  });

  test("has no such header if every field is known or empty", async () => {
    const response = await send("?limit=3&x=", { size: 1, color: null, start_time: null, shape: [], later: false });

    expect(response.headers.has("berth-ignored")).toBe(false);
    expect(await response.json()).toEqual({ ignored: [] });
  });

  test("shows at most 20 names of 64 characters, without invalid characters", async () => {
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`name${n}`, 1]));
    const odd = { "a\r\nSet-Cookie: b=c": 1, "\u001b[31m\u202eé💥": 1, "": 1, __proto__x: 1, ["z".repeat(5_000)]: 1 };
    const response = await send("", { ...odd, ...many });

    const names = response.headers.get("berth-ignored")?.split(", ") ?? [];
    expect(names).toHaveLength(20);
    expect(names[0]).toBe("a__Set-Cookie__b_c");
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_.-]{1,64}$/);
    expect(response.headers.has("set-cookie")).toBe(false);
  });
});

test("a call without a declared query and body ignores both", async () => {
  const endpoint = gpuDev.endpoint(
    createRoute({ method: "post", path: "/v1/things", responses: { 200: jsonReply(z.unknown()) } }),
    { uses: [] },
    async () => ({}),
  );
  const app = buildApp(await fixtureRuntime(), [endpoint]);

  const body = JSON.stringify({ reason: "late" });
  const response = await app.request("/v1/things?now=1", { method: "POST", headers: asAlice, body });

  expect(response.headers.get("berth-ignored")).toBe("now, reason");
});

test("a form reads its query, and names only its unknown fields", async () => {
  const route = createRoute({
    method: "post",
    path: "/v1/cloudrun/things",
    request: { body: jsonBody(z.object({ command: z.string() })) },
    responses: { 200: jsonReply(z.unknown()) },
  });
  const app = buildApp(await fixtureRuntime(), [onmemos.endpoint(route, { uses: [], form: true }, async () => ({}))]);

  const init = { method: "POST", headers: asAlice };
  const response = await app.request("/v1/cloudrun/things?command=ls&shell=sh", init);

  expect(response.headers.get("berth-ignored")).toBe("shell");
});
