import { expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import type { ComputeNode } from "../../../ports/compute.ts";
import { createEnvironment } from "../../verbs/create.ts";

const MINUTE = 60_000;

/** Alice's job after its run stayed unbound on the one machine, where `happens` occurred as the run was made. */
async function withdrawnFrom(happens: (world: Awaited<ReturnType<typeof memoryWorld>>, node: ComputeNode) => unknown) {
  const [node] = newNodes({ h100: 1 });
  if (!node) throw new Error("There is no node");
  const world = await memoryWorld({ nodes: [node] });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/1 nodes are available" });
  const { apply } = world.compute;
  world.compute.apply = async (run) => {
    await happens(world, node);
    await apply(run);
  };
  await world.advance(3 * MINUTE);
  return { world, node, environment: await world.read("alice", "one") };
}

test.each<[why: string, changes: Partial<ComputeNode>]>([
  ["which is cordoned", { ready: false, unready: "cordoned" }],
  ["whose taint keeps it for other runs", { ready: false, unready: "tainted" }],
  ["which is not ready", { ready: false, unready: "notReady" }],
  ["which accepts no new runs now", { ready: false }],
])("a try is excused by a machine %s, with that reason", async (why, changes) => {
  const { environment } = await withdrawnFrom((world, node) => world.compute.setNode({ ...node, ...changes }));

  expect(environment).toMatchObject({ phase: "queued", run: { n: 2 }, placement: { withdrawals: 0 } });
  expect(environment.events.timeline.map(({ reason }) => reason)).toContain(
    `Nothing could start on h100-1, ${why}; waiting again`,
  );
});

test("a try is excused by a machine without its node object, with that reason", async () => {
  const { environment } = await withdrawnFrom((world, node) => world.compute.removeNode(node.name));

  expect(environment).toMatchObject({ phase: "queued", run: { n: 2 }, placement: { withdrawals: 0 } });
  expect(environment.events.timeline.map(({ reason }) => reason)).toContain(
    "Nothing could start on h100-1, which is gone; waiting again",
  );
});
