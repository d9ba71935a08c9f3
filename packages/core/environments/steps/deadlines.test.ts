import { describe, expect, test } from "vitest";
import { takeAway } from "#tests/faults/take-away.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import {
  type MemoryWorld,
  memoryWorld,
  newEnvironment,
  newNodes,
  type WorldOptions,
} from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { pauseAdmission } from "../../pools/admission/admission.ts";
import { requestCancel } from "../verbs/actions.ts";
import { createEnvironment } from "../verbs/create.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Calls that fail in a world without a cluster. */
const CLUSTER = ["apply", "observe", "remove", "listRuns"] as const;

describe("a run that can never be created", () => {
  test("a run that the cluster never accepts fails at its limit, and its GPUs are free", async () => {
    const { world } = await submitted();
    takeAway(world.compute, "apply");

    await world.advance(31 * MINUTE);

    const failed = await world.read("alice", "one");
    expect(failed).toMatchObject({
      phase: "failed",
      reason: "Not ready after 30 minutes, at step pod",
      run: { grant: null },
    });
    expect((await viewPool(world.ctx, "h100"))?.held).toEqual([]);
  });

  test("a disk whose volume cannot be made fails its job at its limit, and both are free for the next", async () => {
    const { world } = await submitted({ disk: "data" });
    const back = takeAway(world.volumes, "createVolume");
    await world.advance(31 * MINUTE);
    expect(await world.read("alice", "one")).toMatchObject({
      phase: "failed",
      reason: "Not ready after 30 minutes, at step disk",
    });
    back();

    await createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" }));
    await world.advance(MINUTE);

    expect(await world.read("alice", "two")).toMatchObject({ phase: "active" });
  });

  test("an end that is due while its steps fail is decided to the second", async () => {
    const { world } = await submitted();
    takeAway(world.compute, "apply");

    await world.advance(31 * MINUTE);

    const {
      end: { stoppingAt },
      run: { preparingAt },
    } = await world.read("alice", "one");
    expect((stoppingAt ?? 0) - (preparingAt ?? 0)).toBe(30 * MINUTE);
  });
});

describe("an unreachable cluster", () => {
  test("does not delay the end of a job, and its GPUs are free once the job is seen gone", async () => {
    const { world } = await submitted();
    await world.advance(10_000);
    const back = takeAway(world.compute, ...CLUSTER);
    await world.advance(3 * HOUR);
    const away = await world.read("alice", "one");
    expect(away).toMatchObject({
      phase: "stopping",
      end: { outcome: { phase: "expired", reason: "Its time is over" } },
    });
    expect((away.end.stoppingAt ?? 0) - (away.run.startedAt ?? 0)).toBe(HOUR);
    expect(away.run.grant).not.toBeNull();
    back();

    await world.advance(6 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "expired", run: { grant: null } });
    expect(world.compute.liveUnits("h100-1")).toBe(0);
  });

  test("does not end a run in preparation after three hours, nor shorten its time", async () => {
    const { world } = await submitted({ hours: 4 }, { delays: { imageMs: 20_000 } });
    await world.advance(10_000);
    const back = takeAway(world.compute, ...CLUSTER);
    await world.advance(3 * HOUR);
    expect(await world.read("alice", "one")).toMatchObject({
      phase: "preparing",
      run: { startedAt: null },
      times: { endsAt: null },
    });
    back();

    await world.advance(6 * MINUTE);

    const { phase, run, times } = await world.read("alice", "one");
    expect(phase).toBe("active");
    expect((times.endsAt ?? 0) - (run.startedAt ?? 0)).toBe(4 * HOUR);
  });

  test("does not change a long job", async () => {
    const { world } = await submitted({ hours: 72 });
    await world.advance(HOUR);
    const back = takeAway(world.compute, ...CLUSTER);
    await world.advance(3 * HOUR);
    back();

    await world.advance(HOUR);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "active", fault: null });
  });
});

describe("the outcome of a job", () => {
  test.each([
    [0, "completed"],
    [3, "failed"],
  ])(
    "a command that exited with code %i before the end of its time is %s, however late its exit is seen",
    async (code, phase) => {
      const { world, uid } = await submitted({ command: "train" });
      world.compute.program(uid, { kind: "exits", code, afterMs: 50 * MINUTE });
      await world.advance(40 * MINUTE);
      const back = takeAway(world.compute, ...CLUSTER);
      await world.advance(3 * HOUR);
      back();

      await world.advance(6 * MINUTE);

      expect(await world.read("alice", "one")).toMatchObject({ phase, reason: `command exited with code ${code}` });
    },
  );

  test("the outcome is in the record before the run is removed, because it is lost afterwards", async () => {
    const { world, uid } = await submitted({ command: "train" });
    world.compute.program(uid, { kind: "exits", code: 0, afterMs: 50 * MINUTE });
    await world.advance(40 * MINUTE);
    const back = takeAway(world.compute, ...CLUSTER);
    await world.advance(HOUR);
    back();
    const { remove } = world.compute;
    const outcomes: unknown[] = [];
    world.compute.remove = async (...input) => {
      outcomes.push((await world.read("alice", "one")).end.outcome?.phase);
      return remove(...input);
    };

    await world.advance(6 * MINUTE);

    expect(outcomes).toEqual(["completed"]);
  });

  test("a command that exited after the end of its time has expired", async () => {
    const { world, uid } = await submitted({ command: "train" });
    world.compute.program(uid, { kind: "exits", code: 0, afterMs: 70 * MINUTE });
    await world.advance(40 * MINUTE);
    const back = takeAway(world.compute, ...CLUSTER);
    await world.advance(3 * HOUR);
    back();

    await world.advance(6 * MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "expired", reason: "Its time is over" });
  });

  test("a run that the cluster's own deadline ended has expired", async () => {
    const { world } = await submitted();
    const { apply } = world.compute;
    world.compute.apply = (run) => apply({ ...run, until: world.clock.now() + 10_000 });

    await world.advance(MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "expired", reason: "Its time is over" });
  });
});

describe("in the queue", () => {
  const threeHours = { settings: { maxQueueHours: 3 } };

  test("an environment that is not next to start waits no longer than the limit", async () => {
    const { world } = await submitted({ hours: 5 }, threeHours);
    await queued(world, "next", "later");

    await world.advance(3 * HOUR + MINUTE);

    expect(await world.read("bob", "later")).toMatchObject({
      phase: "cancelled",
      reason: "Waited in the queue for 3 hours",
    });
    expect(await world.read("bob", "next")).toMatchObject({ phase: "queued" });
  });

  test("an environment with the reserved start keeps it past the limit and starts", async () => {
    const { world } = await submitted({ hours: 4 }, threeHours);
    await queued(world, "next");

    await world.advance(4 * HOUR + 5 * MINUTE);

    expect(await world.read("bob", "next")).toMatchObject({ phase: "active" });
  });

  test("the limit does not pass while the operator has closed the pool", async () => {
    const { world } = await submitted({ hours: 5 }, threeHours);
    await queued(world, "next", "later");
    await pauseAdmission(world.ctx, true);

    await world.advance(3 * HOUR + MINUTE);

    expect(await world.read("bob", "later")).toMatchObject({ phase: "queued" });
  });

  test("an environment that waited for a disk shows that at the limit", async () => {
    const { world } = await submitted({ disk: "data" }, { snapshotMs: 9 * DAY, ...threeHours });
    await world.advance(10_000);
    await requestCancel(world.as("alice"), "one");
    await world.advance(10_000);
    await createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" }));

    await world.advance(4 * HOUR);

    expect(await world.read("alice", "two")).toMatchObject({
      phase: "cancelled",
      reason: expect.stringMatching(
        /^Waited in the queue for 3 hours: Waits until disk 'data' is backed up; its snapshot has been pending since /,
      ),
    });
  });

  test("a job that fits no machine is cancelled at the limit, which is two days by default", async () => {
    const world = await memoryWorld({ nodes: newNodes({ t4: 1 }) });
    await createEnvironment(world.as("alice"), newEnvironment("one"));

    await world.advance(2 * DAY - MINUTE);
    const before = await world.read("alice", "one");
    await world.advance(2 * MINUTE);

    expect(before.phase).toBe("queued");
    expect(await world.read("alice", "one")).toMatchObject({
      phase: "cancelled",
      reason: expect.stringContaining("Waited in the queue for 48 hours"),
    });
  });
});

describe("an end that takes long", () => {
  test("raises one alarm after 15 minutes and shows what it waits for", async () => {
    const log = recordingLog();
    const { world } = await submitted({}, { log });
    await world.advance(10_000);
    takeAway(world.compute, "remove");
    await requestCancel(world.as("alice"), "one");

    await world.advance(14 * MINUTE);
    const before = alarms(log);
    await world.advance(2 * HOUR);

    expect(before).toBe(0);
    expect(alarms(log)).toBe(1);
    const {
      events: { timeline },
    } = await world.read("alice", "one");
    expect(timeline.at(-1)?.reason).toBe("Waits for the cluster to answer");
  });

  test("blames the cluster only while its compute still exists", async () => {
    const world = await memoryWorld();
    await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
    await world.advance(2000);
    takeAway(world.volumes, "findVolume");
    await requestCancel(world.as("alice"), "one");

    await world.advance(17 * MINUTE);

    const { run, events } = await world.read("alice", "one");
    expect(run.grant).toBeNull();
    expect(events.timeline.at(-1)?.reason).toBe("A step of its end failed; retrying");
  });

  test("an unanswered backup is given up after three attempts of two hours, and the volume is kept", async () => {
    const { world } = await submitted({ disk: "data" });
    await world.advance(10_000);
    takeAway(world.volumes, "createSnapshot", "listSnapshots");
    await requestCancel(world.as("alice"), "one");
    await world.advance(5 * HOUR);
    expect(await world.read("alice", "one")).toMatchObject({ phase: "stopping", run: { grant: null } });

    await world.advance(2 * HOUR);

    const cancelled = await world.read("alice", "one");
    expect(cancelled.phase).toBe("cancelled");
    expect(cancelled.events.timeline.map(({ reason }) => reason)).toContain(
      "Its disk could not be backed up in 3 attempts; the volume is kept",
    );
    expect(world.volumes.volumeIds()).toHaveLength(1);
  });

  test("a backup is made in the third attempt if the first two got no answer", async () => {
    const { world } = await submitted({ disk: "data" });
    await world.advance(10_000);
    const back = takeAway(world.volumes, "createSnapshot", "listSnapshots");
    await requestCancel(world.as("alice"), "one");
    await world.advance(5 * HOUR);
    back();

    await world.advance(10 * MINUTE);

    expect(world.volumes.snapshotIds()).toHaveLength(1);
    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", disk: { released: true } });
  });

  test("a backup is made although the disk's record was unreadable for seven hours", async () => {
    const { world } = await submitted({ disk: "data" });
    await world.advance(10_000);
    world.volumes.failSnapshots(1);
    await requestCancel(world.as("alice"), "one");
    await world.advance(2000);
    await editDisk(world, { sizeGb: "many" });
    await world.advance(7 * HOUR);
    const before = await world.read("alice", "one");
    await editDisk(world, { sizeGb: 100 });

    await world.advance(10 * MINUTE);

    expect(before).toMatchObject({ phase: "stopping", end: { backup: { attempt: 1 } } });
    expect(world.volumes.snapshotIds()).toHaveLength(1);
    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", disk: { released: true } });
  });
});

type Log = ReturnType<typeof recordingLog>;

function alarms({ lines }: Log): number {
  return lines.filter(({ event }) => event === "stops for too long").length;
}

/** Overwrites a field of the disk by hand. */
async function editDisk(world: MemoryWorld, fields: Record<string, unknown>): Promise<void> {
  const disk = world.table.all().find(({ kind }) => kind === "disk");
  if (!disk) throw new Error("No disk");
  await world.table.put({ ...disk, ...fields });
}

async function queued(world: MemoryWorld, ...ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    await world.advance(1000);
    await createEnvironment(world.as("bob"), newEnvironment(id, { hours: 1 }));
  }
}

/** One machine, and a job of alice's that was just granted all of it. */
async function submitted(job: Parameters<typeof newEnvironment>[1] = {}, options: WorldOptions = {}) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), ...options });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one", job));
  return { world, uid };
}
