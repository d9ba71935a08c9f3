import { expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { hostKey } from "../../store/keys.ts";
import { type Policy, reservation } from "../record/policy.ts";
import { createEnvironment } from "./create.ts";
import { requestStart } from "./start.ts";

const policy: Policy = { ...reservation, time: "none", restarts: true };
const volumes = [{ name: "workspace", path: "/workspace", sizeGb: 5 }];

/** An environment with a failed first run, during the removal of its compute. */
async function failingWorld(firstFailure: Policy["firstFailure"]) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), delays: { removeMs: 4000 } });
  const alice = world.as("alice");
  const more = { policy: { ...policy, firstFailure }, volumes, addressLabel: "ws-one" };
  const { uid } = await createEnvironment(alice, { ...newEnvironment("one"), ...more });
  world.compute.program(uid, { kind: "imageFails", reason: "Image not found" });
  await world.advance(1000);
  world.compute.program(uid, { kind: "lives" });
  return { world, alice, failing: await world.read("alice", "one") };
}

test("an environment that is cleared after a failed first run is not started, even before its removal", async () => {
  const { world, alice, failing } = await failingWorld("clears");

  await expect(requestStart(alice, "one")).rejects.toMatchObject({ kind: "conflict" });
  await world.advance(20_000);

  expect(failing).toMatchObject({ phase: "stopping", run: { error: "Image not found" } });
  expect(await world.read("alice", "one")).toMatchObject({
    phase: "stopped",
    goal: { desired: "stopped" },
    run: { n: 1 },
  });
  expect(world.volumes.volumeIds()).toEqual([]);
  expect(await world.table.get(hostKey("ws-one"))).toBeUndefined();
});

test("a start at the end of a failed first run that keeps everything has its volumes and its host label", async () => {
  const { world, alice, failing } = await failingWorld("keeps");

  const environment = await requestStart(alice, "one");
  await world.advance(20_000);

  expect(environment).toMatchObject({ phase: "stopping", goal: { desired: "active" } });
  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { n: 2 }, volumes: failing.volumes });
  expect((await world.table.get(hostKey("ws-one")))?.uid).toBe(failing.uid);
});
