import { expect, test } from "vitest";
import { memoryQueue } from "#tests/fakes/memory-queue.ts";
import { memoryTable } from "#tests/fakes/memory-table.ts";
import { manualClock } from "#tests/fixtures/clock.ts";
import { seededIds } from "#tests/fixtures/ids.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { testSettings } from "#tests/fixtures/settings.ts";
import { memoryWorld, newActor } from "#tests/worlds/memory-world.ts";
import type { Identity } from "../ports/identity.ts";
import type { Item, Table } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { reconcile } from "../reconciler/reconcile.ts";
import { userKey } from "../store/keys.ts";
import { login } from "./login.ts";
import { findApiKey, findUser } from "./record.ts";
import { parseAssumedRole, usernameFor } from "./username.ts";

const proof = {
  kind: "credentials",
  credentials: { accessKeyId: "", secretAccessKey: "", sessionToken: undefined },
} as const;

function getWorld(session = "alice", account = "000000000000", role = "SSOCloudDevGpuReservation") {
  const clock = manualClock();
  const arn = () => `arn:aws:sts::${account}:assumed-role/${role}/${session}`;
  const caller = async () => ({ account, arn: arn() });
  const identity: Identity = { callerOfCredentials: caller, callerOfRequest: caller };
  const table = memoryTable();
  const ids = seededIds(3, clock);
  const ctx = {
    table,
    queue: memoryQueue({ clock }),
    identity,
    clock,
    ids,
    log: silentLog(),
    settings: testSettings(),
  };
  const as = (name: string) => {
    const otherEntry = async () => ({ account, arn: `arn:aws:sts::${account}:assumed-role/${role}/${name}` });
    return { ...ctx, identity: { callerOfCredentials: otherEntry, callerOfRequest: otherEntry } };
  };
  return { ctx, table, as };
}

test("the first login creates the user, the next finds it, and only hashes are stored", async () => {
  const { ctx, table } = getWorld();

  const first = await login(ctx, proof);
  const second = await login(ctx, proof);

  expect(first.user).toMatchObject({ username: "alice", number: 1 });
  expect(second.user.uid).toBe(first.user.uid);
  expect(first.key.secret).toMatch(/^[A-Za-z0-9_-]{86}$/);
  expect(first.key.prefix).toBe(first.key.secret.slice(0, 8));
  expect(JSON.stringify(table.all())).not.toContain(first.key.secret);
});

test("the user counter keeps unknown fields", async () => {
  const { table, as } = getWorld();
  await login(as("alice"), proof);
  const counter = table.all().find(({ kind }) => kind === "counter");
  if (!counter) throw new Error("Nobody was counted");
  await table.put({ ...counter, added: "by a newer version" } as Item);

  await login(as("bob"), proof);

  expect(await table.get(counter)).toMatchObject({ last: 2, added: "by a newer version" });
});

test("another identity with the same spelling gets the next name", async () => {
  const { ctx, as } = getWorld("a+b");

  const entry = await login(ctx, proof);
  const two = await login(as("a b"), proof);
  const again = await login(ctx, proof);

  expect([entry.user.username, two.user.username, again.user.username]).toEqual(["a-b", "a-b-2", "a-b"]);
  expect(two.user.number).toBe(2);
});

test("a user who takes every similar name blocks no other first login", async () => {
  const { ctx, as } = getWorld("bob@x");
  for (const name of ["bob-x", ...Array.from({ length: 120 }, (_, n) => `bob-x-${n + 2}`)])
    await login(as(name), proof);

  const bob = await login(ctx, proof);
  const again = await login(ctx, proof);

  expect(bob.user.username).toMatch(/^bob-x-[0-9a-f]{64}$/);
  expect(again.user.uid).toBe(bob.user.uid);
});

test("a login that died after any of its writes is finished by the next", async () => {
  for (let died = 1; died <= 6; died++) {
    const { ctx, table } = getWorld();
    let writes = 0;
    const dying: Table = {
      ...table,
      put: async (item, options) => {
        if (++writes === died) throw new Error("gone");
        return table.put(item, options);
      },
    };
    await login({ ...ctx, table: dying }, proof).catch(() => undefined);

    const { user, key } = await login(ctx, proof);

    expect(user.username).toBe("alice");
    expect(await findApiKey(ctx, ctx.ids.hash(key.secret))).toMatchObject({ uid: user.uid, revokedAt: null });
    const users = table.all().filter((item) => item.kind === "user");
    expect(users, `after write ${died}`).toHaveLength(1);
  }
});

test("ten first logins at once make one user with ten keys", async () => {
  const { ctx } = getWorld();

  const logins = await Promise.all(Array.from({ length: 10 }, () => login(ctx, proof)));

  expect(new Set(logins.map(({ user }) => user.uid)).size).toBe(1);
  expect((await findUser(ctx, logins[0]?.user.uid ?? ""))?.keys).toHaveLength(10);
});

test("the eleventh live key ends the oldest", async () => {
  const { ctx } = getWorld();
  const world = await memoryWorld();
  const secrets: string[] = [];
  for (let n = 0; n < 11; n++) secrets.push((await login(ctx, proof)).key.secret);
  const uid = (await login(ctx, proof)).user.uid;

  await reconcile({ ...world.ctx, ...ctx }, { look: `${userKey(uid).pk}|-` });

  const ended = await Promise.all(
    secrets.map(async (secret) => (await findApiKey(ctx, ctx.ids.hash(secret)))?.revokedAt),
  );
  expect(ended.map((at) => at !== null)).toEqual([true, true, ...Array(9).fill(false)]);
  expect(await findUser(ctx, uid)).toMatchObject({ revoking: [] });
});

test("a caller with another role, another account or no role is refused with the reason", async () => {
  const refused = async (world: ReturnType<typeof getWorld>) =>
    login(world.ctx, proof).then(
      () => "in",
      (error: unknown) => (error instanceof Problem ? `${error.kind}: ${error.message}` : String(error)),
    );

  expect(await refused(getWorld("a", "000000000000", "Other"))).toBe(
    "forbidden: Access denied. Required role: SSOCloudDevGpuReservation, got: Other",
  );
  expect(await refused(getWorld("a", "111111111111"))).toBe(
    "forbidden: Access denied. AWS account 111111111111 is not allowed",
  );
  const user = getWorld();
  const caller = async () => ({ account: "000000000000", arn: "arn:aws:iam::000000000000:user/alice" });
  user.ctx.identity = { callerOfCredentials: caller, callerOfRequest: caller };
  expect(await refused(user)).toBe("forbidden: Access denied. Required role: SSOCloudDevGpuReservation, got: none");
});

test("a role must equal the allowed one; neither a prefix nor a path is enough", () => {
  const arns = [
    "arn:aws:sts::000000000000:assumed-role/SSOCloudDevGpuReservation/alice",
    "arn:aws:sts::000000000000:assumed-role/SSOCloudDevGpuReservation/a/b",
    "arn:aws:sts::000000000000:federated-user/alice",
    "arn:aws:sts::000000000000:assumed-role/x",
  ];

  const roles = arns.map((arn) => parseAssumedRole({ account: "000000000000", arn })?.role);

  expect(roles).toEqual(["SSOCloudDevGpuReservation", undefined, undefined, undefined]);
});

test("names keep allowed characters, and long ones leave room for a number", () => {
  expect(usernameFor("al.ice_1-x", "")).toBe("al.ice_1-x");
  expect(usernameFor("jo=h@n", "-3")).toBe("jo-h-n-3");
  expect(usernameFor("x".repeat(300), "-12")).toHaveLength(255);
  expect(newActor("alice").username).toBe("alice");
});
