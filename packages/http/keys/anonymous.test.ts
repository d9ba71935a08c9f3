import { createRoute } from "@hono/zod-openapi";
import { expect, test } from "vitest";
import * as z from "zod";
import type { Actor } from "#core/context.ts";
import { asAlice, fixtureRuntime, key } from "#tests/worlds/fixture-endpoints.ts";
import { HttpError } from "../answers/http-error.ts";
import { buildApp } from "../app.ts";
import { dev8 } from "../dialects/dev8.ts";
import { gpuDev } from "../dialects/gpu-dev.ts";
import { novita } from "../dialects/novita.ts";
import { onmemos } from "../dialects/onmemos.ts";
import { sessionManager } from "../dialects/session-manager.ts";
import { jsonReply } from "../route.ts";

const reply = z.object({ user: z.string() });
const responses = { 200: jsonReply(reply) };

const local: Actor = { uid: "u9", username: "local", number: 9, keyPrefix: "", keyHash: "", isAdmin: false };

/** Who is seen to ask at a path, or the status of the refusal. */
async function fixture(localUser?: () => Promise<Actor>) {
  const runtime = await fixtureRuntime();
  const endpoints = [
    gpuDev.endpoint(createRoute({ method: "get", path: "/v1/me", responses }), { uses: [] }, async ({ ctx }) => ({
      user: ctx.actor.username,
    })),
    sessionManager.endpoint(
      createRoute({ method: "get", path: "/session/me", responses }),
      { uses: [] },
      async ({ ctx }) => ({ user: ctx.actor.username }),
    ),
    onmemos.endpoint(
      createRoute({ method: "get", path: "/v1/sessions/me", responses }),
      { uses: [] },
      async ({ ctx }) => ({ user: ctx.actor.username }),
    ),
    novita.endpoint(createRoute({ method: "get", path: "/api/me", responses }), { uses: [] }, async ({ ctx }) => ({
      user: ctx.actor.username,
    })),
    dev8.endpoint(createRoute({ method: "get", path: "/api/v1/me", responses }), { uses: [] }, async ({ ctx }) => ({
      user: ctx.actor.username,
    })),
  ];
  const app = buildApp({ ...runtime, localUser }, endpoints);
  return async (path: string, headers: Record<string, string> = {}) => {
    const response = await app.request(path, { headers: { Host: "localhost:8080", ...headers } });
    return response.ok ? ((await response.json()) as { readonly user: string }).user : response.status;
  };
}

test("an open stack serves this machine, as the local user, only the dialects without a place for a key", async () => {
  const ask = await fixture(async () => local);

  expect([await ask("/api/me"), await ask("/api/v1/me")]).toEqual(["local", "local"]);
  expect([await ask("/v1/me"), await ask("/session/me"), await ask("/v1/sessions/me")]).toEqual([401, 401, 401]);
});

test("a stack that is not open refuses requests without a key", async () => {
  const ask = await fixture();

  expect([await ask("/api/me"), await ask("/api/v1/me")]).toEqual([401, 401]);
});

test.each([
  ["localhost", undefined, "local"],
  ["LOCALHOST:8080", undefined, "local"],
  ["127.0.0.1:8080", "http://127.0.0.1:8080", "local"],
  ["127.1.2.3", undefined, "local"],
  ["[::1]:8080", "https://[::1]", "local"],
  ["localhost:8080", "http://localhost:3000", "local"],
  ["evil.example:8080", undefined, 401],
  ["localhost.evil.example", undefined, 401],
  ["127.0.0.1.evil.example", undefined, 401],
  ["app.localhost:8080", undefined, 401],
  ["10.0.0.1", undefined, 401],
  ["localhost, evil.example", undefined, 401],
  ["", undefined, 401],
  ["localhost:8080", "https://evil.example", 401],
  ["localhost:8080", "http://localhost.evil.example", 401],
  ["localhost:8080", "http://vs-code-abc.preview.localhost:8080", 401],
  ["localhost:8080", "null", 401],
  ["localhost:8080", "", 401],
  ["localhost:8080", "file://", 401],
])("the host %j with the origin %j: %s", async (host, origin, seen) => {
  const ask = await fixture(async () => local);

  expect(await ask("/api/me", { Host: host, ...(origin !== undefined && { Origin: origin }) })).toBe(seen);
});

test("a request without a host needs a key", async () => {
  const { app } = await openApp();

  expect((await app.request("/api/me")).status).toBe(401);
});

async function openApp() {
  const runtime = await fixtureRuntime();
  const endpoint = novita.endpoint(
    createRoute({ method: "get", path: "/api/me", responses }),
    { uses: [] },
    async ({ ctx }) => ({ user: ctx.actor.username }),
  );
  return { app: buildApp({ ...runtime, localUser: async () => local }, [endpoint]) };
}

test("a presented key is checked in every place and form", async () => {
  const ask = await fixture(async () => local);

  expect([await ask("/api/me", asAlice), await ask(`/k/${key}/api/me`)]).toEqual(["alice", "alice"]);
  expect([await ask("/api/me", { "X-API-Key": "wrong" }), await ask("/k/wrong/api/v1/me")]).toEqual([401, 401]);
  expect([await ask("/k//api/me"), await ask("/api/me", { Authorization: "Basic YTpi" })]).toEqual(["local", "local"]);
  expect(await ask("/api/me", { Host: "evil.example", ...asAlice })).toBe("alice");
});

test("a local user who is disabled is refused", async () => {
  const ask = await fixture(async () => {
    throw new HttpError("disabledUser");
  });

  expect(await ask("/api/me")).toBe(403);
});
