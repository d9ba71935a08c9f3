import { expect, it } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { reservation } from "../../record/policy.ts";
import { requestCancel } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";
import { requestStart } from "../../verbs/start.ts";
import { requestStop } from "../../verbs/stop.ts";

const MINUTE = 60_000;

it("a new run is not delayed when leftovers of an earlier one cannot be removed", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }), leavesTombstones: false, log });
  const policy = { ...reservation, time: "none", restarts: true } as const;
  const { uid } = await createEnvironment(world.as("alice"), { ...newEnvironment("one"), policy });
  await world.advance(MINUTE);
  const first = await world.read("alice", "one");
  await requestStop(world.as("alice"), "one");
  await world.advance(MINUTE);
  await requestStart(world.as("alice"), "one");
  await world.advance(20_000);
  const { remove, observe } = world.compute;
  let refusals = 0;
  world.compute.observe = (of, run) => observe(of, run === 1 ? 2 : run);
  world.compute.remove = async (of, run, removal) => {
    if (run === 2) return remove(of, run, removal);
    refusals += 1;
    throw new Error("denied by a policy");
  };

  await world.advance(5 * MINUTE);
  const active = await world.read("alice", "one");
  const searches = log.lines.filter(({ fields }) => String(fields.did).includes("earlier run"));
  await requestCancel(world.as("alice"), "one");
  await world.advance(5_000);

  expect(first.phase).toBe("active");
  expect(active).toMatchObject({ phase: "active", run: { n: 2 }, attempts: 0 });
  expect(new Set(searches.map(({ fields }) => fields.did))).toEqual(new Set(["an earlier run may be left"]));
  expect([refusals > 2, refusals < 40]).toEqual([true, true]);
  expect(world.compute.isLive(uid, 2)).toBe(false);
});
