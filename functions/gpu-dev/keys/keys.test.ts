import { describe, expect, test } from "vitest";
import { disableUser, enableUser } from "#core/users/disable.ts";
import { type KeyCheck, keyCheck } from "#http/keys/key-check.ts";
import { type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";

const SECOND = 1000;
const HOUR = 3_600_000;

/** Returns status and text of an endpoint's answer to this key. */
async function said(world: HttpWorld, key: string, method = "GET", path = "/v1/gpu/availability"): Promise<string> {
  const response = await world.request(method, path, { key });
  const body = (await response.json()) as { readonly detail?: unknown };
  return `${response.status} ${body.detail ?? "ok"}`;
}

/** Another process of the same deployment: it has the stores in common, and nothing else. */
function anotherProcess({ ctx: { table, ids, clock, settings } }: HttpWorld): KeyCheck {
  return keyCheck({ table, ids, clock, settings });
}

async function saidBy(check: KeyCheck, key: string): Promise<number> {
  return check(new Headers({ "X-API-Key": key })).then(
    () => 200,
    () => 401,
  );
}

async function rotate(world: HttpWorld, key: string) {
  const response = await world.request("POST", "/v1/keys/rotate", { key });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe("POST /v1/keys/rotate", () => {
  test("answers with exactly five keys, and the new key works", async () => {
    const world = await httpWorld();
    const key = await world.login();

    const { status, body } = await rotate(world, key);

    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual(["api_key", "key_prefix", "user_id", "username", "expires_at"]);
    expect(body).toMatchObject({ user_id: 1, username: "developer" });
    expect(body.api_key).toMatch(/^[A-Za-z0-9_-]{86}$/);
    expect(body.key_prefix).toBe(String(body.api_key).slice(0, 8));
    expect(body.expires_at).toBe(`${new Date(world.clock.now() + 2 * HOUR).toISOString().slice(0, 19)}Z`);
    expect(await said(world, String(body.api_key))).toBe("200 ok");
  });

  test("keeps the old key valid for one more minute", async () => {
    const world = await httpWorld();
    const key = await world.login();
    const { body } = await rotate(world, key);

    await world.advance(30 * SECOND);
    expect(await said(world, key)).toBe("200 ok");
    await world.advance(60 * SECOND);

    expect(await said(world, key)).toBe("401 API key has been revoked");
    expect(await said(world, String(body.api_key))).toBe("200 ok");
  });

  test("shows when the chain of keys ends", async () => {
    const world = await httpWorld({ settings: { keyTtlHours: 24 } });
    const key = await world.login();
    await world.clock.advance(12 * HOUR);

    const response = await world.request("POST", "/v1/keys/rotate", { key });

    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    expect(await response.json()).toEqual({
      detail: "API key can no longer be rotated. Log in with AWS again",
    });
  });

  test("stores the clear key nowhere, also with an Idempotency-Key", async () => {
    const world = await httpWorld();
    const key = await world.login();

    const headers = { "Idempotency-Key": "k-1" };
    const response = await world.request("POST", "/v1/keys/rotate", { key, headers });

    const { api_key } = (await response.json()) as { readonly api_key: string };
    expect(JSON.stringify(world.table.all())).not.toContain(api_key);
    expect(JSON.stringify(world.log.lines)).not.toContain(api_key);
  });
});

describe("GET /v1/keys", () => {
  test("shows only the user's valid keys, with exactly the documented fields", async () => {
    const world = await httpWorld();
    const [first, otherName] = [await world.login(), await world.login()];
    await world.login(second);

    const response = await world.request("GET", "/v1/keys", { key: otherName });

    const { keys, total } = (await response.json()) as { keys: Record<string, unknown>[]; total: number };
    expect(total).toBe(2);
    expect(keys.map(({ key_prefix, current }) => [key_prefix, current])).toEqual([
      [first.slice(0, 8), false],
      [otherName.slice(0, 8), true],
    ]);
    const names = ["key_prefix", "kind", "created_at", "expires_at", "last_used_at", "current"];
    expect(Object.keys(keys[0] ?? {})).toEqual(names);
  });

  test("shows the last use of a key to the hour, and writes it no more often", async () => {
    const world = await httpWorld();
    const key = await world.login();
    const lastUse = async () => {
      const response = await world.request("GET", "/v1/keys", { key });
      const { keys } = (await response.json()) as { keys: { readonly last_used_at: string }[] };
      return Date.parse(keys[0]?.last_used_at ?? "");
    };
    const issuedAt = world.clock.now();

    world.clock.advance(HOUR);
    await said(world, key);
    expect(await lastUse()).toBe(issuedAt);
    world.clock.advance(31 * SECOND);
    await said(world, key);
    const usedAt = world.clock.now();
    world.clock.advance(31 * SECOND);

    expect(await lastUse()).toBe(usedAt);
  });
});

describe("DELETE /v1/keys/{prefix}", () => {
  test("revokes a key at once in its own process, and in any other after 5 s", async () => {
    const world = await httpWorld();
    const [key, otherName] = [await world.login(), await world.login()];
    expect(await said(world, otherName)).toBe("200 ok");
    const elsewhere = anotherProcess(world);
    expect(await saidBy(elsewhere, otherName)).toBe(200);

    const response = await world.request("DELETE", `/v1/keys/${otherName.slice(0, 8)}`, { key });

    expect([response.status, await response.json()]).toEqual([
      200,
      { key_prefix: otherName.slice(0, 8), status: "revoked" },
    ]);
    expect(await said(world, otherName)).toBe("401 API key has been revoked");
    expect(await saidBy(elsewhere, otherName)).toBe(200);
    world.clock.advance(5 * SECOND + 1);
    expect(await saidBy(elsewhere, otherName)).toBe(401);
  });

  test("revokes a key although a request with it is in progress", async () => {
    const held = Promise.withResolvers<void>();
    const [result, go] = [Promise.withResolvers<void>(), held.promise];
    let isHeld = false;
    const world = await httpWorld({
      wrap: (ports) => ({
        ...ports,
        table: {
          ...ports.table,
          async get(at) {
            const item = await ports.table.get(at);
            if (!isHeld || !at.pk.startsWith("key#")) return item;
            isHeld = false;
            result.resolve();
            await go;
            return item;
          },
        },
      }),
    });
    const [key, otherName] = [await world.login(), await world.login()];
    expect(await said(world, key)).toBe("200 ok");
    isHeld = true;
    const late = said(world, otherName);
    await result.promise;

    await said(world, key, "DELETE", `/v1/keys/${otherName.slice(0, 8)}`);
    held.resolve();

    expect(await late).toBe("200 ok");
    expect(await said(world, otherName)).toBe("401 API key has been revoked");
  });

  test("may revoke the key in use", async () => {
    const world = await httpWorld();
    const key = await world.login();

    expect(await said(world, key, "DELETE", `/v1/keys/${key.slice(0, 8)}`)).toBe("200 ok");
    expect(await said(world, key, "POST", "/v1/keys/rotate")).toBe("401 API key has been revoked");
  });

  test("does not find an unknown or ended key, or one of another user", async () => {
    const world = await httpWorld();
    const [key, theirs] = [await world.login(), await world.login(second)];
    const ended = (await world.login()).slice(0, 8);
    await said(world, key, "DELETE", `/v1/keys/${ended}`);

    for (const prefix of ["unknown0", "x", ended, theirs.slice(0, 8), key, "__proto__"]) {
      const answered = await said(world, key, "DELETE", `/v1/keys/${prefix}`);
      expect(answered).toBe(`404 API key '${prefix}' not found`);
    }
    expect(await said(world, theirs)).toBe("200 ok");
  });
});

describe("a disabled user", () => {
  test("is locked out within 5 s, and can neither log in nor rotate a key until enabled again", async () => {
    const world = await httpWorld();
    const key = await world.login();
    expect(await said(world, key)).toBe("200 ok");

    await disableUser(world.ctx, "developer");
    await world.deliver();

    expect(await said(world, key, "POST", "/v1/keys/rotate")).toBe("403 User account is disabled");
    await expect(world.login()).rejects.toThrow("User account is disabled");
    world.clock.advance(5 * SECOND + 1);
    expect(await said(world, key)).toBe("403 User account is disabled");
    await enableUser(world.ctx, "developer");
    await world.deliver();
    expect(await said(world, key)).toBe("200 ok");
  });
});
