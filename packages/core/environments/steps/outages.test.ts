import { describe, expect, test } from "vitest";
import { takeAway } from "#tests/faults/take-away.ts";
import {
  type MemoryWorld,
  memoryWorld,
  newEnvironment,
  newNodes,
  type WorldOptions,
} from "#tests/worlds/memory-world.ts";
import type { Observation, Run } from "../../ports/compute.ts";
import { clusterKey } from "../../store/keys.ts";
import { reservation } from "../record/policy.ts";
import { requestCancel } from "../verbs/actions.ts";
import { createEnvironment } from "../verbs/create.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const OUTAGE = 32 * MINUTE;
const CLUSTER = ["apply", "observe", "remove", "listRuns", "extend", "begin", "setAccess"] as const;

/** Parts that may be unreachable while the cluster prepares a run. */
const outages: [what: string, pass: (world: MemoryWorld, ms: number) => Promise<void>][] = [
  ["the API server", apiServerAway],
  ["the workers", workersAway],
  ["the table", tableAway],
];

describe.each(outages)("while %s is unavailable for longer than PREPARING_MINUTES", (_, pass) => {
  test("a run that becomes ready is active afterwards, in its first run", async () => {
    const { world, uid } = await submitted({ command: "train" }, { delays: { imageMs: 5 * MINUTE } });
    await world.advance(MINUTE);

    await pass(world, OUTAGE);
    await world.advance(6 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { n: 1 } });
    expect(world.compute.starts(uid, 1)).toBe(1);
  });

  test("a run that became ready and ended is shown with the result of its command", async () => {
    const { world, uid } = await submitted({ command: "train" }, { delays: { imageMs: 5 * MINUTE } });
    world.compute.program(uid, { kind: "exits", code: 0, afterMs: 5 * MINUTE });
    await world.advance(MINUTE);

    await pass(world, OUTAGE);
    await world.advance(6 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({
      phase: "completed",
      reason: "command exited with code 0",
    });
  });

  test("a run that is not ready yet keeps the rest of its time", async () => {
    const { world } = await submitted({}, { delays: { imageMs: 50 * MINUTE } });
    await world.advance(10 * MINUTE);

    await pass(world, OUTAGE);
    await world.advance(15 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { n: 1 } });
  });

  test("a run that is never ready fails once the rest of its time is over, and its reason names the outage", async () => {
    const { world } = await submitted({}, { delays: { imageMs: 24 * HOUR } });
    await world.advance(10 * MINUTE);

    await pass(world, OUTAGE);
    await world.advance(26 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({
      phase: "failed",
      reason: expect.stringMatching(/^Not ready after 30 minutes \(3[0-9] more in an outage\), at step image/),
    });
    expect(world.compute.liveUnits("h100-1")).toBe(0);
  });

  test("an unbound run keeps its time to be bound, and releases nothing", async () => {
    const { world, uid } = await submitted({}, { delays: { bindMs: OUTAGE + 20_000 } });
    await world.advance(5_000);

    await pass(world, OUTAGE);
    await world.advance(2 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({
      phase: "active",
      run: { n: 1 },
      placement: { withdrawals: 0, withdrawn: null },
    });
    expect(world.compute.starts(uid, 1)).toBe(1);
  });

  test("an environment with ten minutes to get ready becomes active", async () => {
    const policy = { ...reservation, restarts: true, time: "none", readyWithinMs: 10 * MINUTE } as const;
    const { world } = await submitted({}, { delays: { imageMs: 5 * MINUTE } }, policy);
    await world.advance(MINUTE);

    await pass(world, OUTAGE);
    await world.advance(6 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { n: 1, error: null } });
  });
});

test("a run that became ready without a reconcile has its full time, even by the cluster's own deadline", async () => {
  const { world } = await submitted({ hours: 1 }, { delays: { imageMs: 5 * MINUTE } });
  await world.advance(MINUTE);

  await workersAway(world, 90 * MINUTE);
  await world.advance(59 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { n: 1 } });
});

test("a run that became ready after its limit, without a reconcile, is active", async () => {
  const { world } = await submitted({}, { delays: { imageMs: 31 * MINUTE } });
  await world.advance(29 * MINUTE + 50_000);

  await workersAway(world, OUTAGE);
  await world.advance(MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { n: 1 } });
});

test("repeated outages postpone the limit, and a run that is never ready still fails", async () => {
  const { world } = await submitted({ hours: 100 }, { delays: { imageMs: 240 * HOUR } });

  for (let round = 0; round < 6; round++) {
    await world.advance(12 * MINUTE);
    await apiServerAway(world, OUTAGE);
  }
  await world.advance(10 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "failed", run: { grant: null } });
});

test("a cluster without an answer for a day ends a run that is being prepared, whatever its state", async () => {
  const { world } = await submitted({}, { delays: { imageMs: 20_000 } });
  await world.advance(10_000);
  const back = takeAway(world.compute, ...CLUSTER);
  await world.advance(24 * HOUR);
  const before = await world.read("alice", "one");

  await world.advance(HOUR);
  const after = await world.read("alice", "one");
  back();
  await world.advance(6 * MINUTE);

  expect([before.phase, after.phase]).toEqual(["preparing", "stopping"]);
  expect(await world.read("alice", "one")).toMatchObject({
    phase: "failed",
    reason: expect.stringMatching(/^Not ready after 30 minutes \(1440 more in an outage\)/),
    run: { grant: null },
  });
});

test("the end of a job's time passes while the cluster is away", async () => {
  const policy = { ...reservation, time: "creation" } as const;
  const { world } = await submitted({ hours: 1 }, { delays: { imageMs: 20_000 } }, policy);
  await world.advance(10_000);
  takeAway(world.compute, ...CLUSTER);

  await world.advance(HOUR);

  expect(await world.read("alice", "one")).toMatchObject({
    phase: "stopping",
    end: { outcome: { phase: "expired", reason: "Its time is over" } },
  });
});

test("the third attempt at a backup is not over for lack of reconciles, and its snapshot is recorded", async () => {
  const { world } = await submitted({ disk: "data" }, { snapshotMs: HOUR });
  await world.advance(10_000);
  const back = takeAway(world.volumes, "createSnapshot", "listSnapshots");
  await requestCancel(world.as("alice"), "one");
  await world.advance(4 * HOUR + 10 * MINUTE);
  back();
  const { end } = await world.read("alice", "one");

  await workersAway(world, 3 * HOUR);
  await world.advance(30 * MINUTE);

  expect(end.backup).toMatchObject({ attempt: 3 });
  expect(world.volumes.snapshotIds()).toHaveLength(1);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", disk: { released: true } });
});

describe("while the machine of a run does not answer", () => {
  const silences: [how: string, begin: (world: MemoryWorld) => void][] = [
    ["its node is not ready", (world) => world.compute.loseNode("h100-1")],
    ["its node object is gone", (world) => world.compute.removeNode("h100-1")],
  ];

  test.each(silences)("a run keeps the rest of its time: %s", async (_, begin) => {
    const { world } = await submitted({}, { delays: { imageMs: 15 * MINUTE } });
    await world.advance(10 * MINUTE);

    begin(world);
    await world.advance(OUTAGE);
    const during = await world.read("alice", "one");
    world.compute.returnNode("h100-1");
    await world.advance(16 * MINUTE);

    expect(during).toMatchObject({ phase: "preparing", reason: expect.stringContaining("h100-1 does not answer") });
    expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { n: 1 } });
  });

  test.each(silences)("a run that is never ready fails once the rest of its time is over: %s", async (_, begin) => {
    const { world } = await submitted({}, { delays: { imageMs: 24 * HOUR } });
    await world.advance(10 * MINUTE);

    begin(world);
    await world.advance(OUTAGE);
    world.compute.returnNode("h100-1");
    await world.advance(18 * MINUTE);
    const before = await world.read("alice", "one");
    await world.advance(8 * MINUTE);

    expect(before.phase).toBe("preparing");
    expect(await world.read("alice", "one")).toMatchObject({
      phase: "failed",
      reason: expect.stringMatching(/^Not ready after 30 minutes \(3[0-9] more in an outage\), at step image/),
    });
  });

  test("a run fails after a day of silence, and the reason names its machine", async () => {
    const { world } = await submitted({}, { delays: { imageMs: 25 * MINUTE } });
    await world.advance(10 * MINUTE);
    world.compute.loseNode("h100-1");

    await world.advance(24 * HOUR);
    const before = await world.read("alice", "one");
    await world.advance(HOUR);

    expect(before.phase).toBe("preparing");
    expect((await world.read("alice", "one")).end.outcome).toMatchObject({
      phase: "failed",
      reason: expect.stringMatching(/^Not ready after 30 minutes \(1440 more .* Its machine h100-1 does not answer/),
    });
  });

  test("an outage of the cluster in the middle of the silence counts once", async () => {
    const { world } = await submitted({}, { delays: { imageMs: 24 * HOUR } });
    await world.advance(10 * MINUTE);

    world.compute.loseNode("h100-1");
    await world.advance(10 * MINUTE);
    await apiServerAway(world, 20 * MINUTE);
    await world.advance(10 * MINUTE);
    world.compute.returnNode("h100-1");
    await world.advance(26 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({
      phase: "failed",
      reason: expect.stringMatching(/^Not ready after 30 minutes \((39|4[0-2]) more in an outage\)/),
    });
  });

  test("the return of the machine triggers no other record, because the cluster has always answered", async () => {
    const { world } = await submitted({}, { delays: { imageMs: 25 * MINUTE } });
    await world.advance(10 * MINUTE);

    world.compute.loseNode("h100-1");
    await world.advance(OUTAGE);
    world.compute.returnNode("h100-1");
    await world.advance(MINUTE);

    expect(await world.table.get(clusterKey)).toBeUndefined();
  });
});

describe("an outage between the creation of the first and the last part of a run", () => {
  /** The observation of a run whose first Job is missing long after the creation of the other. */
  const leftover: Observation = {
    state: "ended",
    started: false,
    exitCode: null,
    endedAt: null,
    reason: "the environment's Job was deleted from outside",
    address: null,
    nodes: [],
    isolation: "pod",
    jupyter: null,
    ports: [],
    limits: "",
    sessions: 0,
    terminating: true,
    notes: [],
    halfMade: true,
  };

  /** A job whose run was left half made by an outage: the cluster shows `shown` until it accepts the run. */
  async function halfMade(shown: Observation, policy = reservation) {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    const { apply, observe, remove } = world.compute;
    Object.assign(world.compute, { apply: () => Promise.reject(new Error("timed out")) });
    await createEnvironment(world.as("alice"), { ...newEnvironment("one"), policy });
    await world.advance(2_000);
    let isLeft = true;
    const applied: number[] = [];
    const answers = (call: "takes" | "refuses") =>
      Object.assign(world.compute, {
        observe: async (uid: string, n: number) => (isLeft ? shown : observe(uid, n)),
        remove: async (...input: Parameters<typeof remove>) => {
          isLeft = false;
          return remove(...input);
        },
        apply: async (run: Run) => {
          applied.push(run.run);
          if (call === "refuses") throw new Error("timed out");
          isLeft = false;
          return apply(run);
        },
      });
    return { world, applied, answers };
  }

  test("ends with a complete run, although it lasted so long that the parts seem left over", async () => {
    const { world, applied, answers } = await halfMade(leftover);
    await apiServerAway(world, 16 * MINUTE);
    answers("takes");

    await world.advance(6 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { n: 1 } });
    expect(applied).toEqual([1]);
  });

  test("ends the run at its limit if the cluster still refuses the missing part", async () => {
    const { world, applied, answers } = await halfMade(leftover);
    await apiServerAway(world, 16 * MINUTE);
    answers("refuses");

    await world.advance(40 * MINUTE);

    expect(applied.length).toBeGreaterThan(1);
    expect(await world.read("alice", "one")).toMatchObject({
      phase: "failed",
      reason: expect.stringMatching(/^Not ready after 30 minutes \(1[0-9] more in an outage\)/),
    });
    expect(world.compute.liveUnits("h100-1")).toBe(0);
  });

  test("ends the run if a part has started, because completing it would run its command twice", async () => {
    const { world, applied, answers } = await halfMade({ ...leftover, started: true, halfMade: undefined });
    await apiServerAway(world, 16 * MINUTE);
    answers("takes");

    await world.advance(6 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "failed", reason: leftover.reason });
    expect(applied).toEqual([]);
  });

  test("does not delay the end that the owner requested during the outage", async () => {
    const { world, applied, answers } = await halfMade(leftover);
    await apiServerAway(world, 16 * MINUTE);
    answers("takes");
    await requestCancel(world.as("alice"), "one");

    await world.advance(6 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled" });
    expect(applied).toEqual([]);
  });
});

async function apiServerAway(world: MemoryWorld, ms: number): Promise<void> {
  const back = takeAway(world.compute, ...CLUSTER);
  await world.advance(ms);
  back();
}

/** Time passes in the cluster without messages or sweeps. */
async function workersAway(world: MemoryWorld, ms: number): Promise<void> {
  world.clock.advance(ms);
}

/** Reconciles throw for each message, so no message is acknowledged. */
async function tableAway(world: MemoryWorld, ms: number): Promise<void> {
  const { table, clock } = world;
  const end = clock.now() + ms;
  const back = takeAway(table, "get", "put", "getMany", "query", "putAll");
  await expect(world.advance(MINUTE)).rejects.toThrow();
  back();
  clock.advance(end - clock.now());
}

/** One machine, and a job of alice's that was just granted all of it. */
async function submitted(
  job: Parameters<typeof newEnvironment>[1] = {},
  options: WorldOptions = {},
  policy: Parameters<typeof createEnvironment>[1]["policy"] = reservation,
) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), ...options });
  const { uid } = await createEnvironment(world.as("alice"), { ...newEnvironment("one", job), policy });
  return { world, uid };
}
