import { describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld } from "#tests/worlds/memory-world.ts";
import type { UserContext } from "../context.ts";
import type { Table } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { reconcile } from "../reconciler/reconcile.ts";
import { userKey } from "../store/keys.ts";
import { disableUser, enableUser } from "./disable.ts";
import { issueKey, rotateKey } from "./issue.ts";
import { listKeys, revokeKey } from "./keys.ts";
import { type ApiKey, findApiKey, findUser, type User } from "./record.ts";
import { findOrCreateUser } from "./register.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;

/** Creates a user, with a function that returns what a request with a key sees, without caching. */
async function keyWorld(settings: Parameters<typeof memoryWorld>[0] = {}) {
  const world = await memoryWorld({ nodes: [], ...settings });
  const user = await findOrCreateUser(world.ctx, { account: "0", role: "r", session: "alice" });
  const current = async () => (await findUser(world.ctx, user.uid)) as User;
  const login = async () => (await issueKey(world.ctx, await current(), "r")).secret;
  const as = (secret: string, table: Table = world.table): UserContext<"table" | "queue"> => ({
    ...world.ctx,
    table,
    actor: {
      uid: user.uid,
      username: "alice",
      number: 1,
      keyPrefix: secret.slice(0, 8),
      keyHash: world.ctx.ids.hash(secret),
      isAdmin: false,
    },
    dialect: "gpu-dev",
    noun: "job",
  });
  const record = async (secret: string) => (await findApiKey(world.ctx, world.ctx.ids.hash(secret))) as ApiKey;
  /** Returns the present result of the key check. */
  const state = async (secret: string) => {
    const key = await record(secret);
    const now = world.clock.now();
    if (!key) return "unknown";
    if (key.revokedAt !== null && key.revokedAt <= now) return "revoked";
    if (key.expiresAt <= now) return "expired";
    return key.disabled ? "disabled" : "good";
  };
  return { world, uid: user.uid, current, login, as, record, state };
}

test("no key begins with a dash, which programs take as the start of an option", async () => {
  const { world, current } = await keyWorld();
  const ids = { ...world.ctx.ids, secret: () => `-e${"x".repeat(84)}` };

  const { secret, prefix, hash } = await issueKey({ ...world.ctx, ids }, await current(), "r");

  expect([secret, prefix]).toEqual([`_e${"x".repeat(84)}`, "_exxxxxx"]);
  expect((await findApiKey(world.ctx, ids.hash(secret)))?.prefix).toBe(prefix);
  expect(hash).toBe(ids.hash(secret));
});

/** Wraps a table whose process dies at its n-th write, before or after the write takes effect. */
function dyingTable(table: Table, died: number, effect: boolean): Table {
  let writes = 0;
  return {
    ...table,
    put: async (item, options) => {
      writes += 1;
      if (writes > died || (writes === died && !effect)) throw new Error("gone");
      await table.put(item, options);
      if (writes === died) throw new Error("gone");
    },
  };
}

async function refusal(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "done",
    (error: unknown) => (error instanceof Problem ? `${error.kind}: ${error.message}` : String(error)),
  );
}

async function settle(world: MemoryWorld, ms = 3 * MINUTE): Promise<void> {
  await world.advance(ms);
}

describe("a rotation", () => {
  test("creates a key of the same chain, and the old one stays valid for another minute", async () => {
    const { world, login, as, record, state } = await keyWorld();
    const old = await login();
    world.clock.advance(HOUR);

    const { key } = await rotateKey(as(old));

    const { loginAt, createdAt, role } = await record(key.secret);
    expect({ loginAt, createdAt, role }).toEqual({
      loginAt: (await record(old)).createdAt,
      createdAt: world.clock.now(),
      role: "r",
    });
    expect(key.expiresAt).toBe(world.clock.now() + 2 * HOUR);
    await world.advance(MINUTE - 1);
    expect([await state(old), await state(key.secret)]).toEqual(["good", "good"]);
    world.clock.advance(1);
    expect([await state(old), await state(key.secret)]).toEqual(["revoked", "good"]);
  });

  test("leaves the old key its full overlap when the worker was paused before it ended that key", async () => {
    const { world, login, as, state } = await keyWorld();
    const old = await login();
    let isFirst = true;
    const put: Table["put"] = async (item, options) => {
      await world.table.put(item, options);
      if (isFirst) world.clock.advance(10 * MINUTE);
      isFirst = false;
    };

    const { key } = await rotateKey(as(old, { ...world.table, put }));
    await world.advance(MINUTE - 1);

    expect([await state(old), await state(key.secret)]).toEqual(["good", "good"]);
  });

  test("does not prolong the overlap of a key that is already rotated", async () => {
    const { world, login, as, state } = await keyWorld();
    const old = await login();
    await rotateKey(as(old));
    await world.advance(MINUTE / 2);

    await rotateKey(as(old));
    await world.advance(MINUTE / 2);

    expect(await state(old)).toBe("revoked");
  });

  test("never lasts beyond twelve hours after the login, the end of the chain", async () => {
    const { world, login, as } = await keyWorld();
    let secret = await login();
    const endsAt = world.clock.now() + 12 * HOUR;
    for (let hour = 1; hour <= 11; hour++) {
      world.clock.advance(HOUR);
      const { key } = await rotateKey(as(secret));
      expect(key.expiresAt).toBe(Math.min(world.clock.now() + 2 * HOUR, endsAt));
      secret = key.secret;
    }

    world.clock.advance(HOUR);

    expect(await refusal(rotateKey(as(secret)))).toBe("unauthenticated: API key has expired");
  });

  test("is refused when the chain is over, however long the key itself would live", async () => {
    const { world, login, as } = await keyWorld({ settings: { keyTtlHours: 100 } });
    const secret = await login();
    world.clock.advance(12 * HOUR);

    const said = await refusal(rotateKey(as(secret)));

    expect(said).toBe("unauthenticated: API key can no longer be rotated. Log in with AWS again");
  });

  test("is refused for a key that is revoked after the request is authenticated", async () => {
    const { login, as, current } = await keyWorld();
    const [secret, otherName] = [await login(), await login()];
    await revokeKey(as(otherName), secret.slice(0, 8));

    const said = await refusal(rotateKey(as(secret)));

    expect(said).toBe("unauthenticated: API key has been revoked");
    expect((await current()).keys).toHaveLength(1);
  });

  test("leaves no working key when it races a revocation of the same key", async () => {
    for (let turn = 1; turn <= 6; turn++) {
      const { world, login, as, current, state } = await keyWorld();
      const [secret, otherName] = [await login(), await login()];
      let calls = 0;
      const racing: Table = {
        ...world.table,
        put: async (item, options) => {
          calls += 1;
          if (calls === turn) await revokeKey(as(otherName), secret.slice(0, 8));
          return world.table.put(item, options);
        },
      };

      const outcome = await rotateKey(as(secret, racing)).then(
        ({ key }) => key.secret,
        () => "",
      );
      if (calls < turn) break;
      await settle(world);

      expect(await state(secret), `at write ${turn}`).toBe("revoked");
      const live = (await listKeys(as(otherName))).map(({ prefix }) => prefix);
      expect(live, `at write ${turn}`).toEqual([otherName, outcome].filter(Boolean).map((name) => name.slice(0, 8)));
      expect((await current()).keys).toHaveLength(live.length);
    }
  });

  test("leaves a working key, and no unlisted one, when it dies after any write", async () => {
    for (const effect of [false, true]) {
      for (let died = 1; died <= 3; died++) {
        const { world, login, as, current, state } = await keyWorld();
        const secret = await login();
        await rotateKey(as(secret, dyingTable(world.table, died, effect))).catch(() => undefined);
        const where = `write ${died}, ${effect ? "after" : "before"} its effect`;
        expect(await state(secret), where).toBe("good");

        world.clock.advance(15_000);
        const again = await rotateKey(as(secret));
        await settle(world);

        expect(await state(again.key.secret), where).toBe("good");
        expect(await state(secret), where).toBe("revoked");
        const listed = (await current()).keys.map(({ hash }) => hash);
        const items = world.table.all().filter(({ kind, revokedAt }) => kind === "key" && revokedAt === null);
        expect(items.map(({ pk }) => String(pk).slice("key#".length)).toSorted(), where).toEqual(listed.toSorted());
      }
    }
  });

  test("succeeds once for 50 simultaneous requests with one key; the others get a retry answer", async () => {
    const { world, login, as, current, state } = await keyWorld();
    const secret = await login();

    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => rotateKey(as(secret))));
    await settle(world);

    const won = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value.key.secret] : []));
    const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
    expect(won).toHaveLength(1);
    expect(refused).toHaveLength(49);
    for (const reason of refused) {
      expect(reason).toMatchObject({ kind: "conflict", details: { retryAfterSeconds: 15 } });
    }
    expect(await state(won[0] ?? "")).toBe("good");
    expect((await current()).keys).toHaveLength(1);
  });

  test("succeeds for two keys at once, and again for one key once its answer may be lost", async () => {
    const { world, login, as } = await keyWorld();
    const [first, second] = [await login(), await login()];

    const both = await Promise.allSettled([rotateKey(as(first)), rotateKey(as(second))]);
    world.clock.advance(14_999);
    const early = await refusal(rotateKey(as(first)));
    world.clock.advance(1);

    expect(both.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
    expect(early).toContain("conflict: API key was rotated by another request just now");
    expect((await rotateKey(as(first))).key.secret).not.toBe(first);
  });

  test("removes none of the other ten keys", async () => {
    const { world, login, as, current, state } = await keyWorld();
    const secrets: string[] = [];
    for (let n = 0; n < 10; n++) secrets.push(await login());

    const { key } = await rotateKey(as(secrets[4] ?? ""));
    await settle(world);

    const states = await Promise.all(secrets.map(state));
    expect(states).toEqual(secrets.map((_, n) => (n === 4 ? "revoked" : "good")));
    expect(await state(key.secret)).toBe("good");
    expect((await current()).keys).toHaveLength(10);
  });
});

describe("a list of keys", () => {
  test("shows the live keys, their ends, and the one in use", async () => {
    const { world, login, as } = await keyWorld();
    const [first, second, third] = [await login(), await login(), await login()];
    await revokeKey(as(first), second.slice(0, 8));
    const { key } = await rotateKey(as(third));

    const listed = await listKeys(as(first));

    const now = world.clock.now();
    expect(listed.map(({ prefix, current, worksUntil }) => [prefix, current, worksUntil - now])).toEqual([
      [first.slice(0, 8), true, 2 * HOUR],
      [third.slice(0, 8), false, MINUTE],
      [key.prefix, false, 2 * HOUR],
    ]);
    world.clock.advance(2 * HOUR);
    expect(await listKeys(as(first))).toEqual([]);
  });
});

describe("a revocation", () => {
  test("ends a key at once, even the one in use, and finds nothing the second time", async () => {
    const { login, as, current, state } = await keyWorld();
    const secret = await login();

    await revokeKey(as(secret), secret.slice(0, 8));

    expect(await state(secret)).toBe("revoked");
    expect((await current()).keys).toEqual([]);
    const again = await refusal(revokeKey(as(secret), secret.slice(0, 8)));
    expect(again).toBe(`notFound: API key '${secret.slice(0, 8)}' not found`);
  });

  test("has either ended the key or not begun when it dies after any write, and the next reconcile completes it", async () => {
    for (const [died, effect, expected] of [
      [1, false, "good"],
      [1, true, "revoked"],
      [2, false, "revoked"],
      [2, true, "revoked"],
    ] as const) {
      const { world, login, as, current, state } = await keyWorld();
      const secret = await login();
      await revokeKey(as(secret, dyingTable(world.table, died, effect)), secret.slice(0, 8)).catch(() => undefined);

      await settle(world);

      expect(await state(secret), `write ${died}`).toBe(expected);
      expect((await current()).keys, `write ${died}`).toHaveLength(expected === "good" ? 1 : 0);
    }
  });
});

describe("a key that was listed and never written", () => {
  test("is removed after a minute, and a later write of it fails", async () => {
    const { world, uid, login, current } = await keyWorld();
    const held: Parameters<Table["put"]>[] = [];
    const slow: Table = {
      ...world.table,
      put: async (...call) => {
        if (call[0].pk.startsWith("key#")) held.push(call);
        else await world.table.put(...call);
      },
    };
    await issueKey({ ...world.ctx, table: slow }, await current(), "r");
    await login();
    expect((await current()).keys).toHaveLength(2);

    await settle(world);

    expect((await current()).keys).toHaveLength(1);
    expect(await findUser(world.ctx, uid)).not.toHaveProperty("dueAt", expect.anything());
    const [late] = held;
    if (!late) throw new Error("nothing was held back");
    await expect(world.table.put(...late)).rejects.toThrow("Changed by another writer");
  });
});

describe("a disabled user", () => {
  test("has no valid key and gets none, and is admitted again with unexpired keys", async () => {
    const { world, login, as, current, state } = await keyWorld();
    const [kept, ended] = [await login(), await login()];
    await revokeKey(as(kept), ended.slice(0, 8));

    await disableUser(world.ctx, "alice");
    await world.deliver();

    expect([await state(kept), await state(ended)]).toEqual(["disabled", "revoked"]);
    expect(await refusal(rotateKey(as(kept)))).toBe("forbidden: User account is disabled");
    expect(await refusal(login())).toBe("forbidden: User account is disabled");
    expect((await current()).keys).toHaveLength(1);
    await enableUser(world.ctx, "alice");
    await world.deliver();
    expect([await state(kept), await state(ended)]).toEqual(["good", "revoked"]);
  });

  test("gets no key from a login that began earlier", async () => {
    const { world, current, uid } = await keyWorld();
    const before = await current();
    const racing: Table = {
      ...world.table,
      put: async (item, options) => {
        if (item.pk.startsWith("key#")) {
          await disableUser(world.ctx, "alice");
          await world.deliver();
        }
        return world.table.put(item, options);
      },
    };

    const outcome = await issueKey({ ...world.ctx, table: racing }, before, "r").then(
      () => "issued",
      (error: unknown) => String(error),
    );

    expect(outcome).toContain("Changed by another writer");
    const keys = world.table.all().filter(({ kind, uid: owner }) => kind === "key" && owner === uid);
    expect(keys.every(({ revokedAt, disabled }) => revokedAt !== null && disabled === true)).toBe(true);
  });

  test("stays disabled when a worker resumes that was paused during an earlier enable", async () => {
    const { world, uid, login, state } = await keyWorld();
    const secret = await login();
    await disableUser(world.ctx, "alice");
    await world.deliver();
    await enableUser(world.ctx, "alice");
    const sleeper = { wake: () => {} };
    const asleep = new Promise<void>((resolve) => {
      sleeper.wake = resolve;
    });
    const slow: Table = {
      ...world.table,
      put: async (item, options) => {
        await asleep;
        return world.table.put(item, options);
      },
    };
    const message = { look: `${userKey(uid).pk}|-` };
    const late = reconcile({ ...world.ctx, table: slow }, message);
    await new Promise((resolve) => setImmediate(resolve));
    await disableUser(world.ctx, "alice");
    await world.deliver();

    sleeper.wake();
    await late;
    await world.deliver();

    expect(await state(secret)).toBe("disabled");
  });

  test("is not found if unknown", async () => {
    const { world } = await keyWorld();

    expect(await refusal(disableUser(world.ctx, "nobody"))).toBe("notFound: User 'nobody' not found");
  });
});
