import { expect, test } from "vitest";
import { httpWorld } from "#testing/http-world.ts";
import { brokenTextIn } from "./well-formed.ts";

test.each<[unknown, readonly (string | number)[] | undefined]>([
  ["fine 💥", undefined],
  [{ a: [1, null, { b: "Zoë" }] }, undefined],
  [{ a: ["x", "y\0"] }, ["a", 1]],
  [{ a: { b: "\ud83d" } }, ["a", "b"]],
  [{ a: { "b\0": 1 } }, ["a"]],
])("a broken text in %j is found", (value, place) => {
  expect(brokenTextIn(value)).toEqual(place);
});

test.each([
  ["/session/create", { user_id: "u\0", image: "i" }],
  ["/session/create", { user_id: "u\udead" }],
  ["/v1/jobs/submit", { image: "ubuntu", instance_type: "p5.48xlarge", env_vars: { A: "\0" } }],
  ["/v1/jobs/submit", { image: "ubuntu", instance_type: "p5.48xlarge", name: "half \ud83d" }],
  ["/v1/disks", { disk_name: "d\0" }],
])("%s refuses a text that no store keeps as it is", async (path, body) => {
  const world = await httpWorld();
  const key = await world.login();

  const response = await world.request("POST", path, { key, body });

  expect(response.status).toBe(400);
  expect(await response.text()).not.toContain("\0");
});
