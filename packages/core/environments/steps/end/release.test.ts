import { describe, expect, test } from "vitest";
import { takeAway } from "#tests/faults/take-away.ts";
import { memoryWorld, newEnvironment, newNodes, type WorldOptions } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { requestCancel } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";

const MINUTE = 60_000;

describe("the mark before a run is started", () => {
  test("is in the record before the first call that creates resources", async () => {
    const { world, uid } = await submitted();
    const marks: unknown[] = [];
    const { apply } = world.compute;
    world.compute.apply = async (run) => {
      marks.push((await world.read("alice", "one")).run.applyingAt);
      return apply(run);
    };

    await world.advance(1000);

    expect(marks).toEqual([expect.any(Number)]);
    expect(world.compute.starts(uid, 1)).toBe(1);
  });

  test("lets an end without it release everything at once, regardless of the cluster", async () => {
    const { world } = await submitted({ disk: "data" });
    takeAway(world.compute, "apply", "observe", "remove", "listRuns");
    const back = takeAway(world.volumes, "createVolume");
    await world.advance(MINUTE);
    expect(await world.read("alice", "one")).toMatchObject({ phase: "preparing", run: { applyingAt: null } });

    await requestCancel(world.as("alice"), "one");
    await world.advance(1000);
    back();
    await createEnvironment(world.as("bob"), newEnvironment("next"));
    await world.deliver();

    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", run: { grant: null } });
    expect(await world.read("bob", "next")).toMatchObject({ phase: "preparing" });
  });

  test("lets a disk that was opened and never mounted continue without a backup", async () => {
    const { world } = await submitted({ disk: "data" });
    const { put } = world.table;
    world.table.put = async (item, options) => {
      await put(item, options);
      const isOpened =
        "phase" in item && item.phase === "preparing" && (await world.read("alice", "one")).disk?.attached;
      if (!isOpened) return;
      world.table.put = put;
      await requestCancel(world.as("alice"), "one");
    };

    await world.advance(5000);

    expect(await world.read("alice", "one")).toMatchObject({
      phase: "cancelled",
      end: { backup: null },
      run: { applyingAt: null },
    });
    expect(world.volumes.snapshotIds()).toEqual([]);
  });

  test("keeps units held until the cluster answers", async () => {
    const { world } = await submitted();
    const back = takeAway(world.compute, "apply", "observe", "remove", "listRuns");
    await world.advance(MINUTE);
    await requestCancel(world.as("alice"), "one");
    await world.advance(5 * MINUTE);
    expect(await world.read("alice", "one")).toMatchObject({ phase: "stopping", run: { grant: { shares: [{}] } } });
    back();

    await world.advance(5 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", run: { grant: null } });
  });
});

describe("units and disk of a started run", () => {
  test("are released no earlier than 26 s after it left preparing", async () => {
    const { world } = await submitted({ disk: "data" }, { leavesTombstones: false });
    await world.advance(1000);
    await requestCancel(world.as("alice"), "one");

    await world.advance(26_000);
    const held = await world.read("alice", "one");
    await world.advance(20_000);

    expect(held).toMatchObject({ phase: "stopping", disk: { released: false }, run: { grant: { shares: [{}] } } });
    expect(held.end.waitsFor).toBe("Waits until no worker can start it again");
    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", run: { grant: null } });
    expect((await viewPool(world.ctx, "h100"))?.held).toEqual([]);
  });

  test("are released no earlier if the next worker's clock is 17 s ahead", async () => {
    const { world } = await submitted({}, { leavesTombstones: false });
    await world.advance(1000);
    await requestCancel(world.as("alice"), "one");
    await world.advance(1000);

    world.clock.step(17_000);
    await world.advance(20_000);
    const held = await world.read("alice", "one");
    await world.advance(10_000);

    expect(held).toMatchObject({ phase: "stopping", run: { grant: { shares: [{}] } } });
    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", run: { grant: null } });
  });

  test("are released at once if it was active for longer", async () => {
    const { world } = await submitted({}, { leavesTombstones: false });
    await world.advance(MINUTE);

    await requestCancel(world.as("alice"), "one");
    await world.advance(1000);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled" });
  });

  test("are free after the end even if the worker died before telling the pool", async () => {
    const { world } = await submitted();
    await world.advance(MINUTE);
    const { put } = world.table;
    const { send } = world.queue;
    let died = 0;
    world.table.put = async (item, options) => {
      await put(item, options);
      if ("phase" in item && item.phase === "stopping" && (await world.read("alice", "one")).run.grant === null)
        died ||= 1;
    };
    world.ctx.queue.send = async (queue, message, options) => {
      const isLost = died === 1 && message.for !== undefined;
      if (isLost) died = 2;
      else await send(queue, message, options);
    };

    await requestCancel(world.as("alice"), "one");
    await world.advance(5_000);

    expect(died).toBe(2);
    expect((await world.read("alice", "one")).phase).toBe("cancelled");
    expect((await viewPool(world.ctx, "h100"))?.held).toEqual([]);
  });

  test("go to another job at once when tombstones refuse a late start", async () => {
    const { world, uid } = await submitted();
    const applied = recordApply(world);
    await world.deliver();
    await createEnvironment(world.as("bob"), newEnvironment("next"));
    await world.deliver();
    const waited = await world.read("bob", "next");
    const at = world.clock.now();

    await requestCancel(world.as("alice"), "one");
    await world.deliver();
    const late = await Promise.allSettled(applied.slice(0, 1).map((run) => world.compute.apply(run)));

    expect(waited).toMatchObject({ phase: "queued" });
    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", run: { startsRefused: true } });
    expect(await world.read("bob", "next")).toMatchObject({ phase: "active" });
    expect(world.clock.now()).toBe(at);
    expect(late).toMatchObject([{ reason: { message: "The run was removed" } }]);
    expect([world.compute.starts(uid, 1), world.compute.peakUnits("h100-1")]).toEqual([1, 8]);
  });

  test.each([1, 2])("get a tombstone for each of %i machines, once", async (machines) => {
    const nodes = newNodes({ h100: machines });
    const { world } = await submitted({ gpus: 8 * machines }, { nodes, delays: { removeMs: 3000 } });
    const removals: unknown[] = [];
    const { remove } = world.compute;
    world.compute.remove = async (uid, run, removal) => {
      removals.push(removal.tombstones);
      return remove(uid, run, removal);
    };
    await world.advance(1000);

    await requestCancel(world.as("alice"), "one");
    await world.advance(10_000);

    expect(removals[0]).toBe(machines);
    expect(removals.slice(1)).toEqual(removals.slice(1).map(() => undefined));
    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled" });
  });

  test("get no tombstone if no worker can still start it after its active time", async () => {
    const { world, uid } = await submitted();
    await world.advance(MINUTE);

    await requestCancel(world.as("alice"), "one");
    await world.advance(1000);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled" });
    expect(world.compute.hasTombstone(uid, 1)).toBe(false);
  });

  test("stay held if another version of Berth, without tombstones, removed the run", async () => {
    const { world, uid } = await submitted({}, { delays: { removeMs: 3000 } });
    await world.advance(1000);
    await requestCancel(world.as("alice"), "one");
    await world.deliver();
    const removed = await world.read("alice", "one");
    const older = { ...removed, run: { ...removed.run, startsRefused: undefined } };
    await world.table.put(older, { ifWriter: removed.writers[0] ?? null });
    world.compute.loseTombstone(uid, 1);
    const { remove } = world.compute;
    world.compute.remove = async (of, run, { tombstones: _, ...removal }) => remove(of, run, removal);

    await world.advance(26_000);
    const held = await world.read("alice", "one");
    await world.advance(20_000);

    expect(removed.run).toMatchObject({ removedAt: expect.any(Number), startsRefused: true });
    expect(held).toMatchObject({ phase: "stopping", run: { grant: { shares: [{}] } } });
    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", run: { grant: null } });
  });

  test("stay held while a paused worker restarts the run, which leaves nothing", async () => {
    const { world, uid } = await submitted({}, { leavesTombstones: false });
    const applied = recordApply(world);
    await world.advance(1000);
    await requestCancel(world.as("alice"), "one");
    await world.advance(19_000);
    const [run] = applied;
    if (run) await world.compute.apply(run);
    const wasLive = world.compute.isLive(uid, 1);
    await createEnvironment(world.as("bob"), newEnvironment("next"));

    await world.advance(30_000);

    expect(wasLive).toBe(true);
    expect(world.compute.isLive(uid, 1)).toBe(false);
    expect(await world.read("bob", "next")).toMatchObject({ phase: "active" });
    expect(world.compute.peakUnits("h100-1")).toBe(8);
  });

  test("of an unbound grant are released as soon as tombstones refuse its run", async () => {
    const { world, uid } = await submitted();
    world.compute.program(uid, { kind: "neverBinds", reason: "0/1 nodes are available" });
    const reasons: unknown[] = [];
    const { put } = world.table;
    world.table.put = async (item, options) => {
      await put(item, options);
      if ("phase" in item && item.phase === "queued") reasons.push(world.compute.hasTombstone(uid, 1));
    };

    await world.advance(80_000);

    expect(reasons[0]).toBe(true);
    expect(await world.read("alice", "one")).toMatchObject({ phase: "queued", run: { n: 2, grant: null } });
  });

  test("of an unbound grant are released as late", async () => {
    const { world, uid } = await submitted({}, { leavesTombstones: false });
    world.compute.program(uid, { kind: "neverBinds", reason: "0/1 nodes are available" });

    await world.advance(80_000);
    const held = await world.read("alice", "one");
    await world.advance(30_000);

    expect(held).toMatchObject({ phase: "preparing", run: { withdrawing: true, grant: { shares: [{}] } } });
    expect(await world.read("alice", "one")).toMatchObject({ phase: "queued", run: { n: 2, grant: null } });
  });
});

describe("the state gone", () => {
  test("means that the cluster was asked to remove the run and no longer shows it", async () => {
    const { world, uid } = await submitted();
    await world.advance(MINUTE);
    const { observe, remove } = world.compute;
    const calls: string[] = [];
    world.compute.remove = async (...input) => {
      calls.push("remove");
      return remove(...input);
    };
    world.compute.observe = async (...input) => {
      calls.push("observe");
      return calls.includes("remove") ? observe(...input) : undefined;
    };

    await requestCancel(world.as("alice"), "one");
    await world.advance(10_000);

    expect(calls.slice(0, 3)).toEqual(["observe", "remove", "observe"]);
    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled" });
    expect(world.compute.isLive(uid, 1)).toBe(false);
  });
});

describe("a removed run that a worker may still start", () => {
  test("is reconciled again only when no worker can start it, regardless of hints", async () => {
    const { world, uid } = await submitted({}, { leavesTombstones: false, delays: { removeMs: 300 } });
    world.compute.program(uid, { kind: "exits", code: 0, afterMs: 3000 });
    await world.advance(2000);
    const messages = await passesByPhase(world);

    await world.advance(30_000);
    const meanwhile = [...messages];
    await world.advance(20_000);

    expect(meanwhile).toEqual(["active, held", "stopping, held"]);
    expect(messages.slice(2)).toEqual(["stopping, held"]);
    expect(await world.read("alice", "one")).toMatchObject({ phase: "completed", run: { grant: null } });
  });

  test("is searched for at once if the removing reconcile did not see it: it may be on its way", async () => {
    const { world, uid } = await submitted({}, { leavesTombstones: false });
    const { apply } = world.compute;
    const late: Parameters<typeof apply>[0][] = [];
    world.compute.apply = async (run) => void late.push(run);
    await world.advance(1000);
    await requestCancel(world.as("alice"), "one");
    await world.deliver();

    for (const run of late) await apply(run);
    const wasLive = world.compute.isLive(uid, 1);
    await world.deliver();

    expect(wasLive).toBe(true);
    expect(world.compute.isLive(uid, 1)).toBe(false);
    expect((await world.read("alice", "one")).phase).toBe("stopping");
  });
});

describe("a released run", () => {
  test("is not searched for again before the reconciles after the end", async () => {
    const { world } = await submitted({ disk: "data" });
    await world.advance(MINUTE);
    const messages = await passesByPhase(world);

    await requestCancel(world.as("alice"), "one");
    await world.advance(10_000);
    const before = [...messages];
    await world.advance(MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", disk: { released: true } });
    expect(before).toEqual(["stopping, held", "stopping, held"]);
    expect(messages.slice(before.length)).toEqual(["cancelled, given back"]);
  });

  test("is not mistaken for another run that an older version may still name", async () => {
    const { world, uid } = await submitted();
    await world.advance(MINUTE);
    const active = await world.read("alice", "one");
    const { run, writers } = active;
    const older = { ...active, run: { ...run, released: run.n + 1 } };
    await world.table.put(older, { ifWriter: writers[0] ?? null });

    await requestCancel(world.as("alice"), "one");
    await world.advance(1000);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", run: { released: run.n } });
    expect(world.compute.isLive(uid, run.n)).toBe(false);
  });
});

type World = Awaited<ReturnType<typeof memoryWorld>>;

/** Returns the phase at each reconcile of the compute, and whether it holds capacity. */
async function passesByPhase(world: World): Promise<readonly string[]> {
  const messages: string[] = [];
  const { observe } = world.compute;
  world.compute.observe = async (...of) => {
    const { phase, run } = await world.read("alice", "one");
    messages.push(`${phase}, ${run.grant ? "held" : "given back"}`);
    return observe(...of);
  };
  return messages;
}

function recordApply(world: World) {
  const { apply } = world.compute;
  const runs: Parameters<typeof apply>[0][] = [];
  world.compute.apply = async (run) => {
    runs.push(run);
    return apply(run);
  };
  return runs;
}

/** One machine, and a job of alice's that waits for all of it. */
async function submitted(job: Parameters<typeof newEnvironment>[1] = {}, options: WorldOptions = {}) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), ...options });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one", job));
  return { world, uid };
}
