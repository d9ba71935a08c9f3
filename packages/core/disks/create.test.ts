import { expect, test } from "vitest";
import { memoryWorld } from "#tests/worlds/memory-world.ts";
import { createDisk } from "./create.ts";
import { renameDisk } from "./names/rename.ts";
import { getDisk } from "./view.ts";

test("a repeated create does not change its disk after a rename and a new disk of the name", async () => {
  const world = await memoryWorld();
  const alice = world.as("alice");
  const ids = { id: "first", uid: "a".repeat(32) };
  const first = await createDisk(alice, { name: "data", sizeGb: 10 }, ids);
  await world.advance(2000);
  await renameDisk(alice, "data", "renamed");
  await createDisk(alice, { name: "data", sizeGb: 20 });

  const repeated = await createDisk(alice, { name: "data", sizeGb: 10 }, ids);

  expect(repeated.id).toBe(first.id);
  expect((await getDisk(alice, "renamed")).disk).toMatchObject({ uid: ids.uid, phase: "available" });
  expect((await getDisk(alice, "data")).disk).toMatchObject({ sizeGb: 20 });
});
