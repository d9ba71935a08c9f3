import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Table } from "../../ports/table.ts";
import { createDisk } from "../create.ts";
import { getDisk } from "../view.ts";
import { renameDisk } from "./rename.ts";

async function usedTwice(): Promise<MemoryWorld> {
  const world = await memoryWorld();
  for (const id of ["one", "two"]) {
    await createEnvironment(world.as("alice"), newEnvironment(id, { disk: "data" }));
    await world.advance(2000);
    await requestCancel(world.as("alice"), id);
    await world.advance(10_000);
  }
  return world;
}

test("a rename gives up tags that hang, counts the others, and sets the new name", async () => {
  const world = await usedTwice();
  const [first, second] = world.volumes.snapshotIds();
  const { tagSnapshot } = world.volumes;
  const hanging: typeof tagSnapshot = (id, tags) =>
    id === first ? new Promise<never>(() => undefined) : tagSnapshot(id, tags);
  const ctx = { ...world.as("alice"), volumes: { ...world.volumes, tagSnapshot: hanging } };

  const renamed = await renameDisk(ctx, "data", "new", () => AbortSignal.timeout(20));

  expect(renamed).toEqual({ snapshots: 2, updated: 1, errors: [`${first}: The tag could not be written`] });
  expect((await world.volumes.findSnapshot(second ?? ""))?.tags.name).toBe("new");
  expect((await getDisk(world.as("alice"), "new")).disk).toMatchObject({ name: "new", taggedAs: null });
});

test("a tag that was given up is written later", async () => {
  const world = await usedTwice();
  const never = { ...world.volumes, tagSnapshot: () => new Promise<never>(() => undefined) };
  await renameDisk({ ...world.as("alice"), volumes: never }, "data", "new", () => AbortSignal.abort());

  await world.advance(11 * 60_000);

  const found = await Promise.all(world.volumes.snapshotIds().map((id) => world.volumes.findSnapshot(id)));
  expect(found.map((snapshot) => snapshot?.tags.name)).toEqual(["new", "new"]);
});

test("a disk on another page than the directory is found and renamed", async () => {
  const world = await memoryWorld();
  for (const name of ["a", "b", "c"]) await createDisk(world.as("alice"), { name, sizeGb: 10 });
  await world.advance(2000);
  const query: Table["query"] = (input) => world.table.query({ ...input, limit: 1 });
  const ctx = { ...world.as("alice"), table: { ...world.table, query } };

  for (const name of ["a", "b", "c"]) await renameDisk(ctx, name, `${name}-2`);

  for (const name of ["a-2", "b-2", "c-2"]) expect((await getDisk(world.as("alice"), name)).name).toBe(name);
});
