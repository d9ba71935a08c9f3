import { expect, it } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";

it("a command on several machines starts once all are ready", async () => {
  const world = await severalMachines();

  await world.advance(60_000);

  const { phase, uid } = await world.read("alice", "one");
  expect(phase).toBe("active");
  expect(world.compute.starts(uid, 1)).toBe(1);
});

it("a command does not start once its end is decided", async () => {
  const world = await severalMachines();
  await world.deliver();
  world.clock.advance(IMAGE_MS - 1);
  await requestCancel(world.as("alice"), "one");
  world.clock.advance(1);
  const { uid } = await world.read("alice", "one");
  expect(await world.compute.observe(uid, 1)).toMatchObject({ waitsToBegin: true });

  await world.advance(60_000);

  expect((await world.read("alice", "one")).phase).toBe("cancelled");
  expect(world.compute.starts(uid, 1)).toBe(0);
});

const IMAGE_MS = 10_000;

/** A cluster that holds back the command of several machines, and a job with three machines. */
async function severalMachines() {
  const world = await memoryWorld({ nodes: newNodes({ h100: 3 }), delays: { imageMs: IMAGE_MS }, gates: true });
  await createEnvironment(world.as("alice"), newEnvironment("one", { gpus: 24 }));
  return world;
}
