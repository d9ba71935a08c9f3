import { expect, test } from "vitest";
import { callerNamed, type HttpWorld, httpWorld } from "#tests/worlds/http-world.ts";

async function me(world: HttpWorld, key: string) {
  const response = await world.request("GET", "/v1/me", { key });
  expect(response.status).toBe(200);
  return (await response.json()) as Record<string, unknown>;
}

test("a user sees their identity, the key in use and their limits", async () => {
  const world = await httpWorld();
  const key = await world.login();

  expect(await me(world, key)).toEqual({
    username: "developer",
    user_id: expect.any(Number),
    is_operator: false,
    key: {
      key_prefix: key.slice(0, 8),
      kind: "login",
      expires_at: "2026-01-20T20:00:00Z",
      chain_ends_at: "2026-01-21T06:00:00Z",
    },
    limits: {
      min_duration_hours: 0.083,
      max_duration_hours: 72,
      max_total_hours: 168,
      max_waiting_jobs: 1000,
      max_keys: 10,
      max_web_sessions: 5,
    },
    pages_domain: "preview.localhost",
  });
});

test("a rotated key keeps the end of its chain, and the old one shows the end of its overlap", async () => {
  const world = await httpWorld();
  const old = await world.login();
  await world.advance(60 * 60_000);
  const rotated = await world.request("POST", "/v1/keys/rotate", { key: old });
  const { api_key } = (await rotated.json()) as { readonly api_key: string };

  expect(await me(world, api_key)).toMatchObject({
    key: { kind: "rotation", expires_at: "2026-01-20T21:00:00Z", chain_ends_at: "2026-01-21T06:00:00Z" },
  });
  expect(await me(world, old)).toMatchObject({ key: { kind: "login", expires_at: "2026-01-20T19:01:00Z" } });
});

test("the chain never ends before the key, and any number of waiting jobs is null", async () => {
  const settings = { keyTtlHours: 24, keyChainHours: 1, maxWaitingPerUser: 0 };
  const world = await httpWorld({ settings });
  const key = await world.login();

  expect(await me(world, key)).toMatchObject({
    key: { expires_at: "2026-01-21T18:00:00Z", chain_ends_at: "2026-01-21T18:00:00Z" },
    limits: { max_waiting_jobs: null },
  });
});

test("an operator, by name or by role, is shown as one", async () => {
  const byName = callerNamed("ada");
  const byRole = callerNamed("grace", { arn: "arn:aws:sts::000000000000:assumed-role/Operators/grace" });
  const settings = { adminUsers: ["ada"], adminRoles: ["Operators"] };
  const world = await httpWorld({ callers: [byName, byRole], settings });

  for (const caller of [byName, byRole]) {
    expect(await me(world, await world.login(caller))).toMatchObject({ is_operator: true });
  }
  expect(await me(world, await world.login())).toMatchObject({ is_operator: false });
});
