import { expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { memoryWorld, newEnvironment, newNodes, type WorldOptions } from "#tests/worlds/memory-world.ts";
import { getDisk } from "../disks/view.ts";
import { requestCancel } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** One check every 30 s for an hour, and the more frequent ones at first. */
const PASSES_AN_HOUR = 150;

test("a run that ends after an hour is checked at most every 30 s by then, and its end is found", async () => {
  const { world, submit, cancel, countPasses } = await getWorld({ delays: { removeMs: HOUR } });
  await submit("one");
  await cancel("one");

  await world.advance(HOUR + 31 * SECOND);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled" });
  expect(countPasses("one")).toBeLessThan(PASSES_AN_HOUR);
});

test("a backup of an hour takes few reconciles, as does the environment that waits for it and starts then", async () => {
  const { world, submit, cancel, countPasses, disk } = await getWorld({ snapshotMs: HOUR });
  await submit("one");
  await cancel("one");
  await submit("two");
  expect(await world.read("alice", "two")).toMatchObject({ phase: "queued" });

  await world.advance(HOUR + MINUTE);

  expect(await world.read("alice", "two")).toMatchObject({ phase: "active" });
  expect(countPasses("two")).toBeLessThan(PASSES_AN_HOUR);
  expect(countPasses((await disk()).uid)).toBeLessThan(PASSES_AN_HOUR);
});

test("a volume that may be listed late is searched in few reconciles, at the end and before the next start", async () => {
  const { world, submit, cancel, countPasses, disk } = await getWorld();
  await submit("backed-up");
  await cancel("backed-up");
  await submit("one");
  world.volumes.loseVolume((await disk()).volume?.id ?? "");
  await cancel("one");
  await world.advance(14 * MINUTE);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled" });
  expect(countPasses("one")).toBeLessThan(PASSES_AN_HOUR / 3);

  await submit("two");
  await cancel("two");
  world.volumes.loseVolume((await disk()).volume?.id ?? "");
  await submit("three");
  await world.advance(14 * MINUTE);

  expect(await world.read("alice", "three")).toMatchObject({ phase: "active" });
  expect(countPasses("three")).toBeLessThan(PASSES_AN_HOUR / 3);
});

/** Jobs of one user with one disk, and the number of reconciles per record. */
async function getWorld(options: WorldOptions = {}) {
  const log = recordingLog();
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), log, ...options });
  const listPolls = () => log.lines.filter(({ event }) => event === "look").map(({ fields }) => String(fields.look));
  return {
    world,
    submit: async (id: string) => {
      await createEnvironment(world.as("alice"), newEnvironment(id, { disk: "data" }));
      await world.advance(2 * SECOND);
    },
    cancel: async (id: string) => {
      await requestCancel(world.as("alice"), id);
      await world.advance(10 * SECOND);
    },
    disk: async () => (await getDisk(world.as("alice"), "data")).disk,
    countPasses: (name: string) => listPolls().filter((recordKey) => recordKey.endsWith(`|${name}`)).length,
  };
}
