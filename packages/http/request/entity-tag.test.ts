import { createRoute } from "@hono/zod-openapi";
import { expect, test } from "vitest";
import * as z from "zod";
import { asAlice, fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { buildApp, fetchPlain } from "../app.ts";
import { gpuDev } from "../dialects/gpu-dev.ts";
import { jsonReply } from "../route.ts";

/** An app whose one answer is whatever `answers` holds next. */
async function taggedApp(answers: object[]) {
  const reply = z.object({ name: z.string(), age: z.number() });
  const route = createRoute({ method: "get", path: "/v1/fixture", responses: { 200: jsonReply(reply) } });
  const endpoint = gpuDev.endpoint(
    route,
    { uses: [], etag: ["age"] },
    async () => answers.shift() as z.infer<typeof reply>,
  );
  return buildApp(await fixtureRuntime(), [endpoint]);
}

const entry = { name: "a", age: 1 };

test("an unchanged answer is 304 with its tag and without a body", async () => {
  const app = await taggedApp([entry, entry]);
  const first = await app.request("/v1/fixture", { headers: asAlice });
  const tag = first.headers.get("etag") ?? "";

  const again = await app.request("/v1/fixture", { headers: { ...asAlice, "If-None-Match": tag } });

  expect([first.status, await first.json()]).toEqual([200, entry]);
  expect(tag).toMatch(/^W\/"[0-9a-f]{32}"$/);
  expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", tag]);
  expect(again.headers.get("content-type")).toBeNull();
  expect(again.headers.get("x-request-id")).toEqual(expect.any(String));
});

test("fields that change by themselves keep the tag, and any other change sets a new one", async () => {
  const app = await taggedApp([entry, { ...entry, age: 2 }, { ...entry, name: "b" }]);
  const tags: (string | null)[] = [];
  for (let n = 0; n < 3; n++) {
    tags.push((await app.request("/v1/fixture", { headers: asAlice })).headers.get("etag"));
  }

  expect(tags[1]).toBe(tags[0]);
  expect(tags[2]).not.toBe(tags[0]);
});

test.each([
  ["in a list", (tag: string) => `"other", ${tag}`, 304],
  ["in its strong form", (tag: string) => tag.slice(2), 304],
  ["as any", () => "*", 304],
  ["without quotes", (tag: string) => tag.slice(3, -1), 200],
  ["of another answer", () => 'W/"0123"', 200],
  ["empty", () => "", 200],
])("an If-None-Match %s", async (_, callback, status) => {
  const app = await taggedApp([entry, entry]);
  const tag = (await app.request("/v1/fixture", { headers: asAlice })).headers.get("etag") ?? "";

  const again = await app.request("/v1/fixture", { headers: { ...asAlice, "If-None-Match": callback(tag) } });

  expect(again.status).toBe(status);
});

test("the key is checked first: a known tag without a key is 401", async () => {
  const app = await taggedApp([entry]);

  const response = await app.request("/v1/fixture", { headers: { "If-None-Match": "*" } });

  expect(response.status).toBe(401);
});

test("a function on Lambda answers 304 too", async () => {
  const app = await taggedApp([entry]);
  const headers = new Headers({ ...asAlice, "If-None-Match": "*" });
  const request = { method: "GET", url: "http://host/v1/fixture", headers, body: null };

  const answered = await fetchPlain(app, { ...request, arrayBuffer: async () => new ArrayBuffer(0) }, {});

  expect([answered.status, answered.body]).toEqual([304, ""]);
});
