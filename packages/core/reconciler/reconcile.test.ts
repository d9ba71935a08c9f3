import { expect, test, vi } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import type { Environment } from "../environments/record/record.ts";
import { requestCancel, requestExtension } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import type { Run } from "../ports/compute.ts";
import type { ReconcileRequest } from "../ports/queue.ts";
import { Conflict } from "../problem.ts";
import { keyText } from "../store/keys.ts";
import { reconcile } from "./reconcile.ts";

async function preparing() {
  const world = await memoryWorld({ delays: { imageMs: 60_000 } });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();
  return { world, environment: await world.read("alice", "one") };
}

test("a reconcile of a record that is not due ends after one read", async () => {
  const { world, environment } = await preparing();
  await world.table.put({
    ...environment,
    dueAt: world.clock.now() + 5000,
  } as Environment);
  const before = world.queue.sent();

  await reconcile(world.ctx, { look: keyText(environment) });

  expect((await world.read("alice", "one")).writers).toEqual(environment.writers);
  expect(world.queue.sent()).toBe(before);
});

test("a message up to two seconds early is sent again after one", async () => {
  const { world, environment } = await preparing();
  await world.table.put({
    ...environment,
    dueAt: world.clock.now() + 1900,
  } as Environment);
  const before = world.queue.sent();

  await reconcile(world.ctx, { look: keyText(environment) });

  expect(world.queue.sent()).toBe(before + 1);
  expect((await world.read("alice", "one")).writers).toEqual(environment.writers);
});

test("reads and keeps a concurrent write", async () => {
  const { world } = await preparing();
  let raced = false;
  const observe: typeof world.compute.observe = async (uid, run) => {
    if (!raced) await requestExtension(world.as("alice"), "one", 3_600_000);
    raced = true;
    return world.compute.observe(uid, run);
  };
  world.clock.advance(2_000);
  const { pk, sk } = await world.read("alice", "one");

  await reconcile({ ...world.ctx, compute: { ...world.compute, observe } }, { look: `${pk}|${sk}` });

  const after = await world.read("alice", "one");
  expect(after.size.wantedMs).toBe(7_200_000);
  expect(after.requests.list).toMatchObject([{ kind: "extend", status: "requested", extraMs: 3_600_000 }]);
});

test("a hint whose reconcile lost every write is retried a second later", async () => {
  const world = await memoryWorld();
  const { uid, pk, sk } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "exits", code: 0, afterMs: 60_000 });
  await world.advance(59_000);
  const lost = async () => {
    throw new Conflict("one");
  };
  const always = { ...world.ctx, table: { ...world.table, put: lost } };
  world.clock.advance(2_000);
  world.compute.takeChanged();

  await reconcile(always, { look: `${pk}|${sk}`, hint: true });
  await world.advance(10_000);

  expect((await world.read("alice", "one")).phase).toBe("completed");
});

test("marks an immediate message after a hint, and no others", async () => {
  const { world, environment } = await preparing();
  const recordKey = keyText(environment);
  const sent: object[] = [];
  const send: typeof world.queue.send = async (_, message, { delaySeconds = 0 } = {}) => {
    if (message.look !== recordKey) return;
    sent.push({ ...message, delaySeconds });
  };
  const ctx = { ...world.ctx, queue: { ...world.ctx.queue, send } };
  const reconcileIt = (marks: Omit<ReconcileRequest, "look">) => reconcile(ctx, { look: recordKey, ...marks });

  world.clock.advance(60_000);
  await requestCancel(world.as("alice"), "one");
  await reconcileIt({ hint: true });
  await reconcileIt({});
  await reconcileIt({ fromHint: true });
  await reconcileIt({ hint: true });

  expect(sent).toEqual([
    { look: recordKey, fromHint: true, delaySeconds: 0 },
    { look: recordKey, delaySeconds: 0 },
    { look: recordKey, fromHint: true, delaySeconds: 0 },
    { look: recordKey, delaySeconds: 60 },
  ]);
});

test("a message after a hint is sent again if slightly early, as any message is", async () => {
  const { world, environment } = await preparing();
  await world.table.put({ ...environment, dueAt: world.clock.now() + 1_500 } as Environment);
  const send = vi.spyOn(world.queue, "send");

  await reconcile(world.ctx, { look: keyText(environment), fromHint: true });

  expect(send.mock.calls).toEqual([["work", { look: keyText(environment) }, { delaySeconds: 1 }]]);
});

test("observes a run only once it was created, or before if that is unknown", async () => {
  const world = await memoryWorld();
  const calls: string[] = [];
  const { observe, apply } = world.compute;
  world.compute.observe = async (...of) => {
    calls.push("observe");
    return observe(...of);
  };
  world.compute.apply = async (run) => {
    calls.push("apply");
    await apply(run);
    if (calls.filter((call) => call === "apply").length === 1) throw new Error("No answer");
  };

  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(60_000);

  expect(calls.slice(0, 3)).toEqual(["apply", "observe", "observe"]);
  expect((await world.read("alice", "one")).phase).toBe("active");
});

test.each([
  ["slept", "advance"],
  ["was suspended, its monotonic clock too,", "step"],
] as const)("a worker that %s for more than 20 s after its read changes nothing in the cluster", async (_, pass) => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  const applied: Run[] = [];
  let naps = 0;
  const apply = async (run: Run) => void applied.push(run);
  // The last read before the call.
  const get: typeof world.table.get = async (key) => {
    if (key.pk.endsWith("#spec")) {
      naps += 1;
      world.clock[pass](21_000);
    }
    return world.table.get(key);
  };
  const sleepy = { ...world.ctx, table: { ...world.table, get }, compute: { ...world.compute, apply } };
  await world.queue.send("work", { look: "nothing" });
  for (const message of world.queue.receive("pools", 10)) {
    const { planPools } = await import("../pools/plan/planner.ts");
    await planPools(world.ctx, [message.look]);
  }
  const { pk, sk } = await world.read("alice", "one");
  const [grant] = (await viewPool(world.ctx, "h100"))?.granted ?? [];
  await reconcile(world.ctx, { look: `${pk}|${sk}`, for: grant?.items ?? [] });

  // Records that it is about to create the run.
  await reconcile(world.ctx, { look: `${pk}|${sk}` });

  await reconcile(sleepy, { look: `${pk}|${sk}` });

  expect(naps).toBeGreaterThan(0);
  expect(applied).toEqual([]);
  expect((await world.read("alice", "one")).phase).toBe("preparing");
});

test("a worker suspended for more than 40 s after its read writes nothing that it saw, and tries again", async () => {
  const world = await memoryWorld();
  const { pk, sk } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(60_000);
  let passes = 0;
  const observe: typeof world.compute.observe = async (uid, run) => {
    passes += 1;
    if (passes > 1) return world.compute.observe(uid, run);
    world.clock.advance(41_000);
    return undefined;
  };

  await reconcile({ ...world.ctx, compute: { ...world.compute, observe } }, { look: `${pk}|${sk}`, hint: true });

  expect(passes).toBe(2);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { missedAt: null } });
});

test("a failed step records its reason and is retried with a growing backoff", async () => {
  const { world } = await preparing();
  const observe = async () => {
    throw new Error("connect ECONNREFUSED");
  };
  const down = { ...world.ctx, compute: { ...world.compute, observe } };
  const waits: number[] = [];

  for (let n = 0; n < 10; n++) {
    const before = await world.read("alice", "one");
    world.clock.advance(Math.max(0, (before.dueAt ?? 0) - world.clock.now()));
    await reconcile(down, { look: keyText(before) });
    const after = await world.read("alice", "one");
    waits.push((after.dueAt ?? 0) - world.clock.now());
    expect(after).toMatchObject({ attempts: n + 1, fault: "connect ECONNREFUSED" });
  }

  expect(waits).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map((seconds) => seconds * 1000));
});

test("a step that is stuck for 18 minutes raises an alarm, again each hour, and none once it succeeds", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ log });
  await createEnvironment(world.as("alice"), newEnvironment("one", { hours: 8 }));
  await world.advance(60_000);
  const active = await world.read("alice", "one");
  const begun = world.clock.now();
  const observe = () => Promise.reject(new Error("connect ECONNREFUSED"));
  const down = { ...world.ctx, compute: { ...world.compute, observe } };
  const alarms = () => log.lines.filter(({ event }) => event === "stuck");
  const minutes: number[] = [];

  while (world.clock.now() < begun + 3 * 3_600_000) {
    const before = await world.read("alice", "one");
    world.clock.advance(Math.max(0, (before.dueAt ?? 0) - world.clock.now()));
    const knownLength = alarms().length;
    await reconcile(down, { look: keyText(before) });
    if (alarms().length > knownLength) minutes.push(Math.round((world.clock.now() - begun) / 60_000));
  }
  const after = alarms().length;
  await world.advance(600_000);

  expect(minutes[0]).toBeGreaterThan(15);
  expect(minutes.slice(1).map((at, n) => at - (minutes[n] ?? 0))).toEqual([60, 60]);
  expect(alarms()[0]).toMatchObject({
    level: "error",
    fields: { look: keyText(active), attempts: 10, error: "Error: connect ECONNREFUSED" },
  });
  expect(alarms()).toHaveLength(after);
});

test("hints while the cluster is away do not lengthen the backoff", async () => {
  const { world, environment } = await preparing();
  const observe = async () => {
    throw new Error("connect ECONNREFUSED");
  };
  const down = { ...world.ctx, compute: { ...world.compute, observe } };
  await reconcile(down, { look: keyText(environment), hint: true });
  const [first, sent] = [await world.read("alice", "one"), world.queue.sent()];

  for (let n = 0; n < 1_000; n++) await reconcile(down, { look: keyText(environment), hint: true });

  expect(first).toMatchObject({ attempts: 1, fault: "connect ECONNREFUSED", dueAt: world.clock.now() + 2_000 });
  expect(await world.read("alice", "one")).toEqual(first);
  expect(world.queue.sent()).toBe(sent);
});

test("clears the reason once the step succeeds again", async () => {
  const { world, environment } = await preparing();
  const due = { ...environment, attempts: 4, fault: "was down", dueAt: 0 };
  await world.table.put(due);

  await reconcile(world.ctx, { look: keyText(environment) });

  expect(await world.read("alice", "one")).toMatchObject({ attempts: 0, fault: null });
});

test("postpones an unreadable record by an hour and marks it", async () => {
  const { world, environment } = await preparing();
  const broken = { ...environment, phase: 7, dueAt: 0 };
  await world.table.put(broken);

  await reconcile(world.ctx, { look: keyText(environment) });

  const item = await world.table.get(environment);
  expect(item).toMatchObject({ poisoned: true, phase: 7, dueAt: world.clock.now() + 3_600_000 });
});

test("ends messages for unknown keys and missing records at once", async () => {
  const { world } = await preparing();

  for (const recordKey of [
    "",
    "|",
    "key#abc|-",
    "owner#x#env#gpu-dev|missing",
    "owner#x#env#gpu-dev#spec|y",
    "\0|\0",
  ]) {
    await expect(reconcile(world.ctx, { look: recordKey })).resolves.toBeUndefined();
  }
});

test("a cluster that is too slow for a step counts as a failure, so that messages never multiply", async () => {
  const { world } = await preparing();
  let lateMs = 0;
  let passes = 0;
  const { monotonic } = world.clock;
  const { observe } = world.compute;
  Object.assign(world.clock, { monotonic: () => monotonic() + lateMs });
  Object.assign(world.compute, {
    observe: (...of: Parameters<typeof observe>) => {
      passes += 1;
      lateMs += 21_000;
      return observe(...of);
    },
  });
  await requestCancel(world.as("alice"), "one");

  await world.advance(5 * 60_000);
  const before = passes;
  await world.advance(5 * 60_000);

  expect(passes - before).toBeLessThan(before);
  expect(await world.read("alice", "one")).toMatchObject({ fault: "The step's read is too old to act on" });
});

test("a step that conflicts repeatedly counts as a failure, so that messages never multiply", async () => {
  const { world } = await preparing();
  let passes = 0;
  Object.assign(world.compute, {
    async observe() {
      passes += 1;
      throw new Conflict("another record");
    },
  });

  await world.advance(5 * 60_000);
  const before = passes;
  await world.advance(5 * 60_000);

  expect(passes - before).toBeLessThan(before);
  expect(await world.read("alice", "one")).toMatchObject({ fault: "Changed by another writer: another record" });
});

test("a whole life keeps an unknown field, in an environment and in its disk", async () => {
  const world = await memoryWorld();
  const alice = world.as("alice");
  const { pk, sk } = await createEnvironment(alice, newEnvironment("one", { hours: 1, disk: "data" }));
  const disk = () => world.table.all().find(({ kind }) => kind === "disk");
  const added = { by: "a newer version" };
  for (const item of [await world.table.get({ pk, sk }), disk()]) {
    if (item) await world.table.put({ ...item, added } as typeof item);
  }

  await world.advance(90 * 60_000);

  expect(await world.table.get({ pk, sk })).toMatchObject({ phase: "expired", added });
  expect(disk()).toMatchObject({ heldBy: null, snapshots: [{ completed: true }], added });
});
