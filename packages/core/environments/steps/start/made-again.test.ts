import { expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import type { Run } from "../../../ports/compute.ts";
import { requestCancel } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";

const MINUTE = 60_000;
const withDisk = { ...newEnvironment("one", { hours: 24 }), disk: { name: "data", sizeGb: 10 } };

test("a run that a paused worker recreates after its release is removed before its disk is backed up", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), leavesTombstones: false });
  const { apply } = world.compute;
  let givenRun: Run | undefined;
  world.compute.apply = async (run) => {
    givenRun = run;
    return apply(run);
  };
  await createEnvironment(world.as("alice"), withDisk);
  await world.advance(2 * MINUTE);
  const { put } = world.table;
  world.table.put = async (item, options) => {
    await put(item, options);
    if (!("phase" in item) || item.phase !== "stopping" || !givenRun) return;
    if ((await world.read("alice", "one")).run.grant !== null) return;
    const slept = givenRun;
    givenRun = undefined;
    await apply(slept);
  };

  await requestCancel(world.as("alice"), "one");
  await world.advance(60 * MINUTE);

  const environment = await world.read("alice", "one");
  expect([environment.phase, environment.end.waitsFor, world.compute.isLive(environment.uid, 1), givenRun]).toEqual([
    "cancelled",
    null,
    false,
    undefined,
  ]);
});

test("a lost machine does not hold the disk of an ended run whose Job exists without pods", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }), leavesTombstones: false });
  await createEnvironment(world.as("alice"), withDisk);
  await world.advance(2 * MINUTE);
  const [machine] = (await world.read("alice", "one")).run.machines;
  const { observe, remove } = world.compute;

  world.compute.removeNode(machine?.name ?? "");
  world.compute.setMachine(machine?.uid ?? "", "gone");
  Object.assign(world.ctx.compute, {
    observe: async (...run: Parameters<typeof observe>) => {
      const seen = await observe(...run);
      return seen && { ...seen, state: "ended", exitCode: 0, endedAt: world.clock.now(), nodes: [] };
    },
    remove: (uid: string, run: number, how: Parameters<typeof remove>[2]) => remove(uid, run, { ...how, force: true }),
  });
  await world.advance(60 * MINUTE);

  const environment = await world.read("alice", "one");
  expect([environment.phase, environment.end.waitsFor]).toEqual(["completed", null]);
});
