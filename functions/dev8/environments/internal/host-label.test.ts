import { expect, test } from "vitest";
import { memoryWorld } from "#tests/worlds/memory-world.ts";
import { hostLabelsOf } from "./host-label.ts";

const world = await memoryWorld();
const labelsOf = (id: string, name = "alice") => hostLabelsOf(world.as(name), id, "centralindia");

test("the id as it is comes first, in lower case and without underscores", () => {
  expect(labelsOf("Test_Workspace-001")[0]).toBe("ws-test-workspace-001.centralindia");
});

test.each([
  "x".repeat(60),
  "x".repeat(61),
  "x".repeat(63),
  "ends-with-a-dash-",
  "ends_with_an_underscore_",
  "abcdefghij",
])("every label of %s is part of a host name", (id) => {
  for (const label of labelsOf(id)) expect(label).toMatch(/^[a-z][a-z0-9-]{0,61}[a-z0-9]\.centralindia$/);
});

test("one that is too long is shortened and told apart by a hash of owner and id", () => {
  const [name = ""] = labelsOf("x".repeat(62));

  expect(name).toMatch(/^ws-x{53}-[0-9a-f]{6}\.centralindia$/);
  expect(labelsOf("x".repeat(63))[0]).not.toBe(name);
  expect(labelsOf("x".repeat(62), "bob")[0]).not.toBe(name);
  expect(labelsOf("x".repeat(62))[0]).toBe(name);
});

test("there are others where somebody has the first", () => {
  const labels = labelsOf("test-workspace-001");

  expect(new Set(labels).size).toBe(4);
  for (const label of labels.slice(1)) expect(label).toMatch(/^ws-test-workspace-001-[0-9a-f]{6}\.centralindia$/);
});
