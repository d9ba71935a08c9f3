import { expect, test } from "vitest";
import { takeAway } from "#tests/faults/take-away.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { reconcile } from "../../../reconciler/reconcile.ts";
import { keyText } from "../../../store/keys.ts";
import { toKey } from "../../record/record.ts";
import { requestExtension } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test("one stale 'not found' after an hour does not end a job of 72 hours", async () => {
  const { world, missOnce } = await running();
  missOnce();

  await world.advance(HOUR);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { missedAt: null } });
});

test("one stale 'not found' does not end a job that is preparing", async () => {
  const { world, missOnce } = await running({ imageMs: 2 * MINUTE });
  missOnce();
  await untilMissed(world);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "preparing" });

  await world.advance(5 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { missedAt: null } });
});

test("a run is lost if it is missed twice, at least 27 s apart, and from the list of runs", async () => {
  const { world, uid } = await running();
  await world.compute.remove(uid, 1, { graceSeconds: 0, force: true });
  const at = await untilMissed(world);
  await world.advance(at + 26_000 - world.clock.now());
  expect(await world.read("alice", "one")).toMatchObject({ phase: "active" });

  await world.advance(5_000);

  const reason = "Its compute was deleted in the cluster, but not by Berth";
  expect(await world.read("alice", "one")).toMatchObject({ phase: "failed", reason });
});

test.each([
  ["active", {}],
  ["preparing", { imageMs: HOUR }],
])("a run that was seen being deleted is lost at the first check that misses it: %s", async (phase, delays) => {
  const { world, uid } = await running({ ...delays, removeMs: 5_000 });
  await world.advance(10_000);
  const before = await world.read("alice", "one");
  await world.compute.remove(uid, 1, { graceSeconds: 10, force: false });
  await reconcile(world.ctx, { look: keyText(toKey(before)), hint: true });
  const going = await world.read("alice", "one");

  await world.advance(8_000);

  const reason = "Its compute was deleted in the cluster, but not by Berth";
  expect([before.phase, going.phase]).toEqual([phase, phase]);
  expect((await world.read("alice", "one")).end.outcome).toMatchObject({ phase: "failed", reason });
});

test("a run that was seen being deleted is not lost while the list of runs shows it", async () => {
  const { world, uid } = await running({ removeMs: HOUR });
  await world.compute.remove(uid, 1, { graceSeconds: 10, force: false });
  await reconcile(world.ctx, { look: keyText(toKey(await world.read("alice", "one"))), hint: true });
  const { observe } = world.compute;
  Object.assign(world.compute, { observe: async () => undefined });
  await world.advance(2 * MINUTE);
  Object.assign(world.compute, { observe });

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", end: { outcome: null } });
});

test("a miss counts from the time of its answer, and only once for a slow worker", async () => {
  const { world } = await running();
  const key = keyText(toKey(await world.read("alice", "one")));
  let waitsMs = 19_000;
  const observe = async () => {
    world.clock.advance(waitsMs);
    waitsMs = 9_000;
    return undefined;
  };
  Object.assign(world.compute, { observe, listRuns: async () => [] });

  await reconcile(world.ctx, { look: key, hint: true });
  const answeredAt = world.clock.now();
  const first = await world.read("alice", "one");
  await reconcile(world.ctx, { look: key, hint: true });

  expect(first.run.missedAt).toBe(answeredAt);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", end: { outcome: null } });
});

test("a signal within the 27 s after a miss decides nothing, though the list of runs does not show it either", async () => {
  const { world } = await running();
  const { observe, listRuns } = world.compute;
  Object.assign(world.compute, { observe: async () => undefined, listRuns: async () => [] });
  await untilMissed(world);
  const key = keyText(toKey(await world.read("alice", "one")));

  for (let n = 0; n < 4; n++) {
    world.clock.advance(2_000);
    await reconcile(world.ctx, { look: key, hint: true });
  }

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", end: { outcome: null } });
  Object.assign(world.compute, { observe, listRuns });
  await world.advance(MINUTE);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { missedAt: null } });
});

test("a run that the list of runs shows is not lost, however often it is not found by its name", async () => {
  const { world } = await running();
  world.compute.observe = async () => undefined;

  await world.advance(5 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active" });
});

test("each of many missed environments lists only its own runs", async () => {
  const { world, uid } = await running();
  const { listRuns } = world.compute;
  const input: unknown[] = [];
  world.compute.listRuns = async (name) => {
    input.push(name);
    return listRuns(name);
  };
  await world.compute.remove(uid, 1, { graceSeconds: 0, force: true });

  await world.advance(6 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "failed" });
  expect(input).toEqual([uid]);
});

test("a list that cannot be read decides nothing", async () => {
  const { world } = await running();
  const { observe } = world.compute;
  world.compute.observe = async () => undefined;
  const back = takeAway(world.compute, "listRuns");
  await world.advance(30 * MINUTE);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "active" });
  back();
  world.compute.observe = observe;

  await world.advance(10 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { missedAt: null } });
});

test("a run seen again by a reconcile for an extension needs two more misses to be lost", async () => {
  const { world, missOnce } = await running();
  takeAway(world.compute, "listRuns");
  missOnce();
  await untilMissed(world);
  takeAway(world.compute, "extend");
  await requestExtension(world.as("alice"), "one", HOUR);
  await world.advance(3_000);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { missedAt: null } });
});

test("a command that is over before any reconcile saw it ready ended by itself, although the run is gone afterwards", async () => {
  const { world } = await running({ imageMs: 2 * MINUTE, exitsAfterMs: 0 });
  goneOnceSeenOver(world);

  await world.advance(5 * MINUTE);

  const timeline = ["queued", "preparing", "active", "stopping", "completed"];
  const ended = await world.read("alice", "one");
  expect(ended).toMatchObject({ phase: "completed", reason: "command exited with code 0" });
  expect([...new Set(ended.events.timeline.map(({ phase }) => phase))]).toEqual(timeline);
});

test("a command that was over when its run was seen again ended by itself, though the run is gone afterwards", async () => {
  const { world, missOnce } = await running({ exitsAfterMs: 2 * MINUTE });
  await world.advance(50_000);
  missOnce();
  await untilMissed(world);
  goneOnceSeenOver(world);

  await world.advance(5 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "completed" });
});

/** Removes the run behind Berth's back, right after the first reconcile that sees its end. */
function goneOnceSeenOver({ compute }: MemoryWorld): void {
  const { observe } = compute;
  compute.observe = async (uid, run) => {
    const seen = await observe(uid, run);
    if (seen?.state === "ended") await compute.remove(uid, run, { graceSeconds: 0, force: true });
    return seen;
  };
}

/** Returns when a reconcile missed the job's run. Throws after some minutes without one. */
async function untilMissed(world: MemoryWorld): Promise<number> {
  for (let tries = 0; tries < 600; tries++) {
    const {
      run: { missedAt },
    } = await world.read("alice", "one");
    if (missedAt !== null) return missedAt;
    await world.advance(1000);
  }
  throw new Error("No look missed the run");
}

/** A job of 72 hours, active or preparing, with a function that hides it from one reconcile. */
async function running({
  imageMs = 0,
  removeMs = 0,
  exitsAfterMs,
}: {
  readonly imageMs?: number;
  readonly removeMs?: number;
  readonly exitsAfterMs?: number;
} = {}) {
  const nodes = newNodes({ h100: 1 });
  const world = await memoryWorld({ nodes, delays: { imageMs, removeMs } });
  // Without runs in the listing, each reconcile asks for its own.
  world.compute.listNodes = async () => nodes;
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one", { hours: 72 }));
  if (exitsAfterMs !== undefined) world.compute.program(uid, { kind: "exits", code: 0, afterMs: exitsAfterMs });
  await world.advance(MINUTE);
  const missOnce = () => {
    const { observe } = world.compute;
    world.compute.observe = async () => {
      world.compute.observe = observe;
      return undefined;
    };
  };
  return { world, uid, missOnce };
}
