import { expect, test } from "vitest";
import type { Table } from "#core/ports/table.ts";
import type { Settings } from "#core/settings.ts";
import { apiKeyKey } from "#core/store/keys.ts";
import { FORMAT, Unreadable } from "#core/store/unreadable.ts";
import { HOUR_MS } from "#core/units.ts";
import { aliceUid, fixtureRuntime, key } from "#tests/worlds/fixture-endpoints.ts";
import { keyCheck } from "./key-check.ts";

/** A key check, its clock, and how often it read the table. */
async function fixtureCheck(
  record: Readonly<Record<string, unknown>> = {},
  admins: Partial<Pick<Settings, "adminUsers" | "adminRoles">> = {},
) {
  const { ports, ids, clock, settings } = await fixtureRuntime(record);
  const reads: string[] = [];
  const table: Table = {
    ...ports.table,
    get: (at) => {
      reads.push(at.pk);
      return ports.table.get(at);
    },
  };
  const check = keyCheck({ table, ids, clock, settings: { ...settings, ...admins } });
  const present = (headers: Record<string, string>, further?: (string | undefined)[]) =>
    check(new Headers(headers), further);
  return { present, present1: () => present({ "X-API-Key": key }), clock, reads, table, hash: ids.hash(key) };
}

test("a key is found in either header, with Bearer in any case", async () => {
  const { present, hash } = await fixtureCheck();
  const alice = {
    uid: aliceUid,
    username: "alice",
    number: 42,
    keyPrefix: "good-key",
    keyHash: hash,
    isAdmin: false,
  };

  expect(await present({ Authorization: `Bearer ${key}` })).toEqual(alice);
  expect(await present({ Authorization: `bEARER   ${key} ` })).toEqual(alice);
  expect(await present({ "X-API-Key": key })).toEqual(alice);
});

test("a scheme other than Bearer and an empty value count as no key, so the next place is checked", async () => {
  const { present } = await fixtureCheck();

  for (const none of ["Basic YTpi", "Bearer", "Bearer ", "", key]) {
    await expect(present({ Authorization: none })).rejects.toMatchObject({ situation: "noKey" });
    await expect(present({ Authorization: none, "X-API-Key": key })).resolves.toMatchObject({ uid: aliceUid });
  }
  await expect(present({ "X-API-Key": " " })).rejects.toMatchObject({ situation: "noKey" });
});

test("a key in Authorization without a scheme is refused with a hint", async () => {
  const { present } = await fixtureCheck();
  const forgotten = "Not authenticated. Did you forget 'Bearer' before the key in Authorization?";

  await expect(present({ Authorization: key })).rejects.toMatchObject({ situation: "noKey", message: forgotten });
  for (const otherName of [`Token ${key}`, "Bearer", "short", `${key}!`]) {
    await expect(present({ Authorization: otherName })).rejects.toMatchObject({ situation: "noKey", message: "" });
  }
});

test("an invalid key in the first place is not replaced by a valid one in the second", async () => {
  const { present } = await fixtureCheck();

  const refused = present({ Authorization: "Bearer wrong", "X-API-Key": key });

  await expect(refused).rejects.toMatchObject({ situation: "badKey", message: "" });
});

test("further places of a key are checked in order, and an empty one is skipped", async () => {
  const { present } = await fixtureCheck();

  await expect(present({}, [key])).resolves.toMatchObject({ uid: aliceUid });
  await expect(present({ "X-API-Key": "" }, ["", undefined, key])).resolves.toMatchObject({ uid: aliceUid });
  await expect(present({}, ["", undefined])).rejects.toMatchObject({ situation: "noKey" });
  await expect(present({}, ["wrong", key])).rejects.toMatchObject({ situation: "badKey" });
  await expect(present({ "X-API-Key": "wrong" }, [key])).rejects.toMatchObject({ situation: "badKey" });
  await expect(present({ Authorization: `Bearer ${key}` }, ["wrong"])).resolves.toMatchObject({ uid: aliceUid });
});

test("a malformed key is refused without a read of the table", async () => {
  const { present, reads } = await fixtureCheck();

  for (const bad of [
    "x".repeat(15),
    "x".repeat(257),
    "good key_0123456789",
    "good.key_0123456789",
    "g\u00f6\u00f6d-key_0123456789",
  ]) {
    await expect(present({ "X-API-Key": bad })).rejects.toMatchObject({ situation: "badKey" });
  }
  expect(reads).toEqual([]);
});

test("an unknown key is invalid, and read again each time", async () => {
  const { present, reads } = await fixtureCheck();

  for (const _ of [1, 2]) {
    await expect(present({ "X-API-Key": `${key}x` })).rejects.toMatchObject({ situation: "badKey", message: "" });
  }
  expect(reads).toHaveLength(2);
});

test("an expired key is refused as such from its exact millisecond on, cached or not", async () => {
  const { present1, clock } = await fixtureCheck();
  clock.advance(2 * HOUR_MS - 1);
  await present1();
  clock.advance(1);

  await expect(present1()).rejects.toMatchObject({ situation: "badKey", message: "API key has expired" });
});

test("a key revoked ahead of time works until then, cached or not", async () => {
  const { present1, clock } = await fixtureCheck({ revokedAt: Date.UTC(2026, 0, 20, 18) + 10_000 });
  clock.advance(9_999);
  await present1();
  clock.advance(1);

  await expect(present1()).rejects.toMatchObject({ situation: "badKey", message: "API key has been revoked" });
});

test("reports expiry or revocation, the earlier one", async () => {
  const { present1, clock } = await fixtureCheck({ revokedAt: Date.UTC(2026, 0, 20, 21) });
  clock.advance(4 * HOUR_MS);

  await expect(present1()).rejects.toMatchObject({ message: "API key has expired" });
});

test("a disabled user is refused, but an expired key of one is just expired", async () => {
  const { present1, clock } = await fixtureCheck({ disabled: true });

  await expect(present1()).rejects.toMatchObject({ kind: "forbidden", situation: "disabledUser" });
  clock.advance(2 * HOUR_MS);
  await expect(present1()).rejects.toMatchObject({ message: "API key has expired" });
});

test("a valid key is read once in 5 seconds, and a change is seen after that", async () => {
  const { present1, clock, reads, table, hash } = await fixtureCheck();
  await present1();
  const item = await table.get({ pk: `key#${hash}`, sk: "-" });
  if (!item) throw new Error("no key record");
  await table.put({ ...item, disabled: true } as typeof item);
  reads.length = 0;

  clock.advance(5_000);
  await present1();
  expect(reads).toEqual([]);
  clock.advance(1);
  await expect(present1()).rejects.toMatchObject({ situation: "disabledUser" });
  expect(reads).toEqual([`key#${hash}`]);
});

test("a clock that was set back does not keep a key for longer", async () => {
  const { present1, clock, reads } = await fixtureCheck();
  await present1();

  clock.step(-HOUR_MS);
  await present1();

  expect(reads).toHaveLength(2);
});

test("a refused key is not remembered", async () => {
  const { present1, reads } = await fixtureCheck({ disabled: true });

  await expect(present1()).rejects.toMatchObject({ kind: "forbidden" });
  await expect(present1()).rejects.toMatchObject({ kind: "forbidden" });

  expect(reads).toHaveLength(2);
});

test("the cache is bounded: after a thousand other keys the first is read again", async () => {
  const { present, present1, reads, table, hash } = await fixtureCheck();
  const { ids } = await fixtureRuntime();
  const item = await table.get({ pk: `key#${hash}`, sk: "-" });
  if (!item) throw new Error("no key record");
  const others = Array.from({ length: 1_000 }, (_, at) => `other-key_${String(at).padStart(8, "0")}`);
  await Promise.all(
    others.map((otherOther) => table.put({ ...item, pk: `key#${ids.hash(otherOther)}` } as typeof item)),
  );
  await present1();
  for (const otherOther of others) await present({ "X-API-Key": otherOther });
  reads.length = 0;

  await present1();

  expect(reads).toEqual([`key#${hash}`]);
});

test("the use of a key is recorded at most once an hour", async () => {
  const { present1, clock, table, hash } = await fixtureCheck();
  const lastUse = async () => (await table.get({ pk: `key#${hash}`, sk: "-" }))?.lastUsedAt;
  clock.advance(HOUR_MS);
  await present1();
  expect(await lastUse()).toBeUndefined();

  clock.advance(30_001);
  await present1();
  const notedAt = clock.now();
  clock.advance(30_001);
  await present1();

  expect(await lastUse()).toBe(notedAt);
});

test("a use that cannot be recorded does not fail the request", async () => {
  const { ports, ids, clock, settings } = await fixtureRuntime();
  const table: Table = { ...ports.table, put: async () => Promise.reject(new Error("down")) };
  const check = keyCheck({ table, ids, clock, settings });
  clock.advance(HOUR_MS + 1);

  const actor = await check(new Headers({ "X-API-Key": key }));

  expect(actor.uid).toBe(aliceUid);
});

test("an unreadable key record admits no request", async () => {
  const { present1 } = await fixtureCheck({ disabled: "no" });

  await expect(present1()).rejects.toThrow();
});

test("an operator is defined by the settings at the time of the request, by name or by role", async () => {
  const isAdmin = async (record: object, admins: Partial<Pick<Settings, "adminUsers" | "adminRoles">>) => {
    const { present1 } = await fixtureCheck({ ...record }, admins);
    return (await present1()).isAdmin;
  };

  expect(await isAdmin({}, { adminUsers: ["alice"] })).toBe(true);
  expect(await isAdmin({ role: "Operators" }, { adminRoles: ["Operators"] })).toBe(true);
  expect(await isAdmin({ role: "Operators" }, { adminRoles: ["Operator"], adminUsers: ["Operators"] })).toBe(false);
  expect(await isAdmin({ isAdmin: true }, { adminUsers: ["bob"], adminRoles: ["Operators"] })).toBe(false);
});

test.each([
  ["that names no user", { uid: "u1" }],
  ["of another kind", { kind: "user" }],
  ["with an unknown login", { loginAt: undefined }],
  ["of a newer format", { format: FORMAT + 1 }],
])(
  "a key %s is refused everywhere, since no user could revoke it, and its record stays unchanged",
  async (_, record) => {
    const { present1, clock, table, hash } = await fixtureCheck(record);
    clock.advance(HOUR_MS + 1);
    const before = await table.get(apiKeyKey(hash));

    await expect(present1()).rejects.toThrow(Unreadable);

    expect(await table.get(apiKeyKey(hash))).toEqual(before);
  },
);
