import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { reservation } from "../record/policy.ts";
import { createEnvironment } from "../verbs/create.ts";
import { requestStart } from "../verbs/start.ts";

const MINUTE = 60_000;
const restartable = { ...reservation, time: "none", restarts: true } as const;

/** Creates an active environment with idle GPUs since its start by default. */
async function idleWorld(
  changes: Partial<Parameters<typeof createEnvironment>[1]> = {},
  options: Parameters<typeof memoryWorld>[0] = {},
): Promise<MemoryWorld & { uid: string; show(): ReturnType<MemoryWorld["read"]> }> {
  const world = await memoryWorld({ ...options, settings: { idleGpuMinutes: 60, ...options.settings } });
  const { uid } = await createEnvironment(world.as("alice"), { ...newEnvironment("one", { hours: 24 }), ...changes });
  await world.deliver();
  world.compute.setGpuIdle(uid, world.clock.now());
  return { ...world, uid, show: () => world.read("alice", "one") };
}

const listReasons = ({ events: { timeline } }: Awaited<ReturnType<MemoryWorld["read"]>>) =>
  timeline.map(({ reason }) => reason);

test("a job with idle GPUs is warned once, in its record and at its terminals, and ended with the reason", async () => {
  const { compute, uid, advance, show } = await idleWorld();

  await advance(49 * MINUTE);
  expect(compute.notices(uid, 1)).toEqual([]);
  await advance(2 * MINUTE);
  const warned = await show();
  await advance(8 * MINUTE);
  const last = await show();
  await advance(2 * MINUTE);

  const words = "Its GPUs are idle: it ends in 10 minutes unless they are used";
  expect(warned.phase).toBe("active");
  expect(listReasons(last).filter((reason) => reason === words)).toHaveLength(1);
  const ended = "This environment was cancelled: Its GPUs were idle for 60 minutes";
  expect(compute.notices(uid, 1).map((notice) => notice.words)).toEqual([words, ended]);
  expect(await show()).toMatchObject({
    phase: "cancelled",
    reason: "Its GPUs were idle for 60 minutes",
    use: { idle: { verdict: "stop", signal: "gpus" } },
  });
});

test("use after the warning keeps the GPUs, and the next idle time is warned of again", async () => {
  const { compute, uid, clock, advance, show } = await idleWorld();
  await advance(51 * MINUTE);

  compute.setGpuIdle(uid, clock.now());
  await advance(30 * MINUTE);
  expect((await show()).phase).toBe("active");
  await advance(25 * MINUTE);
  expect(compute.notices(uid, 1).map(({ kind }) => kind)).toEqual(["warning", "news", "warning"]);
  await advance(10 * MINUTE);

  expect((await show()).phase).toBe("cancelled");
});

test("an open terminal does not keep idle GPUs", async () => {
  const { compute, uid, advance, show } = await idleWorld();
  compute.setSessions(uid, 3);

  await advance(61 * MINUTE);

  expect((await show()).phase).toBe("cancelled");
});

test("a restartable environment is stopped, and has its full time after a start", async () => {
  const { compute, uid, clock, advance, as, show } = await idleWorld({ policy: restartable });
  await advance(61 * MINUTE);
  expect(await show()).toMatchObject({ phase: "stopped", reason: "auto-stop", use: { idle: { signal: "gpus" } } });

  await requestStart(as("alice"), "one");
  await advance(MINUTE);
  compute.setGpuIdle(uid, clock.now());
  await advance(55 * MINUTE);

  expect((await show()).phase).toBe("active");
});

test("unknown use, the default setting and a job without GPUs cause no warning and no end", async () => {
  const unknown = await idleWorld();
  unknown.compute.setGpuIdle(unknown.uid, undefined);
  const byDefault = await idleWorld({}, { settings: { idleGpuMinutes: undefined } });

  for (const world of [unknown, byDefault]) {
    await world.advance(3 * 60 * MINUTE);
    expect(await world.show()).toMatchObject({ phase: "active", use: { idle: null } });
    expect(world.compute.notices(world.uid, 1)).toEqual([]);
  }
});

test("a dry run records the end that it would have made, warns only once, and continues to check", async () => {
  const { compute, uid, advance, show } = await idleWorld({}, { settings: { idleDryRun: true } });

  await advance(3 * 60 * MINUTE);

  expect(await show()).toMatchObject({ phase: "active", use: { idle: { signal: "gpus", dryRun: true } } });
  expect(compute.notices(uid, 1)).toHaveLength(1);
});

test("unreachable terminals delay neither the warning nor the end", async () => {
  const { compute, advance, show } = await idleWorld();
  Object.assign(compute, { tell: () => Promise.reject(new Error("away")) });

  await advance(61 * MINUTE);

  expect((await show()).phase).toBe("cancelled");
});
