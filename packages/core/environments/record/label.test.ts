import { expect, test } from "vitest";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../verbs/create.ts";
import { requestDelete } from "../verbs/delete.ts";
import { labelEnvironment } from "./changes/change.ts";

test("labels are added, even after the end, and change nothing else", async () => {
  const world = await memoryWorld();
  const ctx = world.as("alice");
  const input = newEnvironment("one");
  await createEnvironment(ctx, { ...input, labels: { a: "1", b: "2" } });
  await world.advance(5_000);
  world.compute.kill((await world.read("alice", "one")).uid, 1);
  await world.advance(60_000);
  const before = await world.read("alice", "one");

  const labelled = await labelEnvironment(ctx, "one", { b: "3", c: "4" });

  expect(before.phase).toBe("failed");
  expect(labelled).toEqual({ ...before, labels: { a: "1", b: "3", c: "4" }, writers: labelled.writers });
  expect(await world.read("alice", "one")).toEqual(labelled);
});

test("a deleted environment, or another owner's, accepts no labels", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await requestDelete(world.as("alice"), "one");
  await world.advance(60_000);

  for (const name of ["alice", "bob"]) {
    await expect(labelEnvironment(world.as(name), "one", { a: "1" })).rejects.toThrow("Job one not found");
  }
});
