import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { reconcile } from "../../reconciler/reconcile.ts";
import { keyText } from "../../store/keys.ts";
import { reservation } from "../record/policy.ts";
import { toKey } from "../record/record.ts";
import { createEnvironment } from "../verbs/create.ts";
import { requestStart } from "../verbs/start.ts";
import { markBusy, touchEnvironment } from "../verbs/touch.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const idle = { afterMs: 20 * MINUTE, everyMs: 5 * MINUTE };
const policy = { ...reservation, time: "none", restarts: true, idle } as const;

async function activeWorld(options: Parameters<typeof memoryWorld>[0] = {}): Promise<MemoryWorld> {
  const world = await memoryWorld(options);
  await createEnvironment(world.as("alice"), { ...newEnvironment("one"), policy });
  await world.deliver();
  return world;
}

test("an unused environment is stopped at the first check after 20 minutes, with the signal in its record", async () => {
  const world = await activeWorld();

  await world.advance(24 * MINUTE);
  expect((await world.read("alice", "one")).phase).toBe("active");
  await world.advance(2 * MINUTE);

  const stopped = await world.read("alice", "one");
  expect(stopped).toMatchObject({
    phase: "stopped",
    reason: "auto-stop",
    run: { error: null },
    goal: { desired: "stopped" },
  });
  expect(stopped.use.idle).toMatchObject({ verdict: "stop", signal: "start", dryRun: false });
});

test("a heartbeat delays the stop, and one from the past or the future is bounded", async () => {
  const world = await activeWorld();
  await world.advance(18 * MINUTE);
  const now = world.clock.now();

  expect((await touchEnvironment(world.as("alice"), "one", now + MINUTE)).use.lastUsedAt).toBe(now);
  expect((await touchEnvironment(world.as("alice"), "one", now - MINUTE)).use.lastUsedAt).toBe(now);
  await world.advance(19 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", use: { idle: { signal: "heartbeat" } } });
  await world.advance(7 * MINUTE);
  expect((await world.read("alice", "one")).phase).toBe("stopped");
});

test("an environment used during an outage is not stopped by the first check after it, and an unused one is by the next", async () => {
  const [used, left] = [await activeWorld(), await activeWorld()];
  for (const world of [used, left]) {
    await world.advance(15 * MINUTE);
    world.clock.advance(3 * HOUR);
    await world.advance(MINUTE);
  }

  await touchEnvironment(used.as("alice"), "one", used.clock.now());
  for (const world of [used, left]) await world.advance(5 * MINUTE);

  expect((await used.read("alice", "one")).phase).toBe("active");
  expect((await left.read("alice", "one")).phase).toBe("stopped");
});

test("frequent heartbeats cause few writes", async () => {
  const world = await activeWorld();
  const { writers } = await touchEnvironment(world.as("alice"), "one", world.clock.now());

  world.clock.advance(60_000);
  const again = await touchEnvironment(world.as("alice"), "one", world.clock.now());

  expect(again.writers).toEqual(writers);
});

test("a heartbeat between a check's read and its write keeps the environment", async () => {
  const world = await activeWorld();
  await world.advance(24 * MINUTE);
  const environment = await world.read("alice", "one");
  world.clock.advance(Math.max(0, environment.dueAt ?? 0) - world.clock.now() + 5 * MINUTE);
  let beats = 0;
  const table = {
    ...world.table,
    put: async (...put: Parameters<typeof world.table.put>) => {
      if (beats++ === 0) await touchEnvironment(world.as("alice"), "one", world.clock.now());
      await world.table.put(...put);
    },
  };

  await reconcile({ ...world.ctx, table }, { look: keyText(toKey(environment)) });

  const kept = await world.read("alice", "one");
  expect(beats).toBeGreaterThan(1);
  expect(kept).toMatchObject({ phase: "active", use: { idle: { verdict: "keep", signal: "heartbeat" } } });
});

test("a running exec and open sessions keep an environment, without a warning of an auto-stop", async () => {
  const world = await activeWorld();
  const { uid } = await markBusy(world.as("alice"), "one", world.clock.now() + 40 * MINUTE);

  await world.advance(39 * MINUTE);
  expect((await world.read("alice", "one")).use.idle).toMatchObject({ verdict: "keep", signal: "exec" });
  expect(world.compute.notices(uid, 1)).toEqual([]);
  world.compute.setSessions(uid, 1);
  await world.advance(90 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", use: { idle: { signal: "sessions" } } });
});

test.each([
  ["working kernels without a connected user", 1, "sessions"],
  ["a Jupyter that cannot be asked", null, "unknown sessions"],
  ["a question that fails", new Error("The machine does not answer"), "unknown sessions"],
])("%s keep an environment for as long as they last", async (_, works, signal) => {
  const world = await activeWorld();
  const { uid } = await world.read("alice", "one");
  world.compute.setWork(uid, works);

  await world.advance(90 * MINUTE);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", use: { idle: { signal } } });
  world.compute.setWork(uid, 0);
  await world.advance(30 * MINUTE);

  expect((await world.read("alice", "one")).phase).toBe("stopped");
});

test("work without a connection is counted only without sessions, and not at every reconcile", async () => {
  const world = await activeWorld();
  const { uid } = await world.read("alice", "one");
  const { countWork } = world.compute;
  let input = 0;
  const counted = async (...of: Parameters<typeof countWork>) => {
    input += 1;
    return countWork(...of);
  };
  Object.assign(world.ctx, { compute: { ...world.compute, countWork: counted } });

  await world.advance(11 * MINUTE);
  const alone = input;
  world.compute.setSessions(uid, 1);
  await world.advance(30 * MINUTE);

  expect([alone, input]).toEqual([2, 2]);
});

test("an auto-stop is announced ten minutes before, in the timeline and at login, and its reason at the end", async () => {
  const world = await activeWorld();
  const { uid } = await world.read("alice", "one");
  const told = () => world.compute.notices(uid, 1).map(({ kind, words }) => [kind, words]);

  await world.advance(11 * MINUTE);
  const { events } = await world.read("alice", "one");
  const warned = told();
  await world.advance(15 * MINUTE);

  const words = "Not in use: it stops in 10 minutes unless it is used";
  expect(events.timeline.at(-1)?.reason).toBe(words);
  expect(warned).toEqual([["warning", words]]);
  expect(told()).toEqual([...warned, ["end", "This environment was stopped: auto-stop"]]);
});

test("use withdraws the warning, and the next idle time is warned of again", async () => {
  const world = await activeWorld();
  const { uid } = await world.read("alice", "one");
  const kinds = () => world.compute.notices(uid, 1).map(({ kind }) => kind);
  await world.advance(11 * MINUTE);

  world.compute.setSessions(uid, 1);
  await world.advance(20 * MINUTE);
  const used = kinds();
  world.compute.setSessions(uid, 0);
  await world.advance(15 * MINUTE);

  expect(used).toEqual(["warning", "news"]);
  expect(kinds()).toEqual(["warning", "news", "warning"]);
  expect((await world.read("alice", "one")).phase).toBe("active");
});

test("an abandoned terminal counts for 20 minutes from the last check that saw it", async () => {
  const world = await activeWorld();
  const { uid } = await world.read("alice", "one");
  world.compute.setSessions(uid, 1);
  await world.advance(61 * MINUTE);
  world.compute.setSessions(uid, 0);

  await world.advance(18 * MINUTE);
  const before = (await world.read("alice", "one")).phase;
  await world.advance(8 * MINUTE);

  expect([before, (await world.read("alice", "one")).phase]).toEqual(["active", "stopped"]);
});

test("a dry run only records that it would have stopped the environment", async () => {
  const world = await activeWorld({ settings: { idleDryRun: true } });

  await world.advance(40 * MINUTE);

  const environment = await world.read("alice", "one");
  expect(environment).toMatchObject({ phase: "active", use: { idle: { verdict: "stop", dryRun: true } } });
});

test("a restarted environment has its 20 minutes again", async () => {
  const world = await activeWorld();
  await world.advance(26 * MINUTE);

  await requestStart(world.as("alice"), "one");
  await world.advance(20 * MINUTE);

  expect((await world.read("alice", "one")).phase).toBe("active");
});
