import { expect, test } from "vitest";
import { memoryWorld } from "#tests/worlds/memory-world.ts";
import { listHostLabels } from "./host-label.ts";

const world = await memoryWorld();
const listLabels = (id: string, name = "alice") => listHostLabels(world.as(name), id, "centralindia");

test("the first label is the id, in lower case and without underscores", () => {
  expect(listLabels("Test_Workspace-001")[0]).toBe("ws-test-workspace-001.centralindia");
});

test.each([
  "x".repeat(60),
  "x".repeat(61),
  "x".repeat(63),
  "ends-with-a-dash-",
  "ends_with_an_underscore_",
  "abcdefghij",
])("every label of %s is a valid part of a host name", (id) => {
  for (const label of listLabels(id)) expect(label).toMatch(/^[a-z][a-z0-9-]{0,61}[a-z0-9]\.centralindia$/);
});

test("a label that is too long is shortened, with a hash of owner and id to keep it unique", () => {
  const [name = ""] = listLabels("x".repeat(62));

  expect(name).toMatch(/^ws-x{53}-[0-9a-f]{6}\.centralindia$/);
  expect(listLabels("x".repeat(63))[0]).not.toBe(name);
  expect(listLabels("x".repeat(62), "bob")[0]).not.toBe(name);
  expect(listLabels("x".repeat(62))[0]).toBe(name);
});

test("more labels follow in case the first is taken", () => {
  const labels = listLabels("test-workspace-001");

  expect(new Set(labels).size).toBe(4);
  for (const label of labels.slice(1)) expect(label).toMatch(/^ws-test-workspace-001-[0-9a-f]{6}\.centralindia$/);
});
