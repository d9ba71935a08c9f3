import { expect, test } from "vitest";
import { buildApp } from "#http/app.ts";
import { fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { endpoint } from "./live.ts";

test("liveness is 200 in every state of the stores", async () => {
  const response = await buildApp(await fixtureRuntime(), [endpoint]).request("/live");

  expect([response.status, await response.text()]).toEqual([200, '{"status":"alive"}']);
});
