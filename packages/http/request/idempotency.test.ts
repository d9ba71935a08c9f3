import { createRoute } from "@hono/zod-openapi";
import { expect, test } from "vitest";
import * as z from "zod";
import type { Table } from "#core/ports/table.ts";
import { Problem } from "#core/problem.ts";
import { asAlice, fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { buildApp } from "../app.ts";
import { dev8 } from "../dialects/dev8.ts";
import { onmemos } from "../dialects/onmemos.ts";
import { jsonBody, jsonReply } from "../route.ts";

const Made = z.object({ id: z.string() });

/** Two creates whose verb changes the chosen id, and their records: uid by id. */
async function fixture({ dies = () => false }: { readonly dies?: (pk: string) => boolean } = {}) {
  const runtime = await fixtureRuntime();
  const things = new Map<string, string>();
  const input: boolean[] = [];
  const { table } = runtime.ports;
  const put: Table["put"] = async (item, options) => {
    if (dies(item.pk) && "state" in item && item.state === "done") throw new Error("gone");
    await table.put(item, options);
  };
  const session = onmemos.endpoint(
    createRoute({
      method: "post",
      path: "/v1/sessions",
      request: { body: jsonBody(z.object({ user: z.string() })) },
      responses: { 201: jsonReply(Made) },
    }),
    { uses: [], creates: "seconds" },
    async ({ resource, body }) => {
      input.push(resource.isRepeat);
      let seconds = Number(resource.id);
      const name = () => `ws-${body.user}-${seconds}`;
      while ((things.get(name()) ?? resource.uid) !== resource.uid) seconds += 1;
      things.set(name(), resource.uid);
      return { id: name() };
    },
  );
  const workspace = dev8.endpoint(
    createRoute({
      method: "post",
      path: "/api/v1/environments",
      request: { body: jsonBody(z.object({ workspaceId: z.string() })) },
      responses: { 200: jsonReply(Made) },
    }),
    { uses: [], creates: "uid" },
    async ({ resource, body }) => {
      const holder = things.get(body.workspaceId) ?? resource.uid;
      if (holder !== resource.uid) throw new Problem("conflict", `container already exists for ${body.workspaceId}`);
      things.set(body.workspaceId, resource.uid);
      return { id: body.workspaceId };
    },
  );
  const app = buildApp({ ...runtime, ports: { ...runtime.ports, table: { ...table, put } } }, [session, workspace]);
  const post = async (path: string, body: object, key?: string) => {
    const headers = { ...asAlice, ...(key !== undefined && { "Idempotency-Key": key }) };
    const response = await app.request(path, { method: "POST", headers, body: JSON.stringify(body) });
    const replayed = response.headers.has("idempotency-replayed");
    return { status: response.status, replayed, body: (await response.json()) as Record<string, unknown> };
  };
  return { post, things, asked: input, clock: runtime.clock };
}

const first = { id: "ws-a-1768932000" };
const next = { id: "ws-a-1768932001" };

test("creates within one second get consecutive ids, and a repeat keeps its id", async () => {
  const { post, things, clock } = await fixture();

  const entry = await post("/v1/sessions", { user: "a" });
  const two = await post("/v1/sessions", { user: "a" }, "k-1");
  clock.advance(60_000);
  const again = await post("/v1/sessions", { user: "a" }, "k-1");

  expect([entry.body, two.body]).toEqual([first, next]);
  expect(again).toEqual({ status: 201, replayed: true, body: next });
  expect(things.size).toBe(2);
});

test("a repeat of a create whose answer was lost finds the first record in spite of its new id", async () => {
  const { post, things, asked: input, clock } = await fixture({ dies: (pk) => pk.startsWith("idem#") });
  await post("/v1/sessions", { user: "a" });
  await post("/v1/sessions", { user: "a" }, "k-1");

  clock.advance(60_000);
  const again = await post("/v1/sessions", { user: "a" }, "k-1");

  expect(again).toEqual({ status: 201, replayed: true, body: next });
  expect(input).toEqual([false, false, true]);
  expect(things.size).toBe(2);
});

test("a repeat with a client-chosen name does not conflict with itself, even after a lost answer", async () => {
  const fields = { workspaceId: "test-workspace-001" };
  for (const dies of [() => false, (pk: string) => pk.startsWith("idem#")]) {
    const { post } = await fixture({ dies });
    const entry = await post("/api/v1/environments", fields, "k-1");

    const again = await post("/api/v1/environments", fields, "k-1");
    const otherEntry = await post("/api/v1/environments", fields, "k-2");
    const plain = await post("/api/v1/environments", fields);
    const changed = await post("/api/v1/environments", { workspaceId: "another" }, "k-1");

    expect([entry.status, entry.replayed]).toEqual([200, false]);
    expect(again).toEqual({ ...entry, replayed: true });
    expect([otherEntry.status, plain.status]).toEqual([409, 409]);
    expect(otherEntry.body.message).toBe("container already exists for test-workspace-001");
    expect(changed.body.message).toBe("Idempotency-Key was already used with a different request");
  }
});

test("a refused create leaves its key free for when the reason is gone", async () => {
  const { post, things } = await fixture();
  const fields = { workspaceId: "test-workspace-001" };
  await post("/api/v1/environments", fields);
  const refused = await post("/api/v1/environments", fields, "k-1");
  things.clear();

  const made = await post("/api/v1/environments", fields, "k-1");

  expect([refused.status, made.status, made.replayed]).toEqual([409, 200, false]);
});

test("the key in the base URL does not change the request", async () => {
  const { post } = await fixture();
  await post("/v1/sessions", { user: "a" }, "k-1");

  const again = await post("/k/anything/v1/sessions", { user: "a" }, "k-1");

  expect(again).toEqual({ status: 201, replayed: true, body: first });
});
