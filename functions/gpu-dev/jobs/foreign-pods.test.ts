import { expect, test } from "vitest";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld, second } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

test("a job says that it waits for GPUs of another deployment's pods, until those pods are gone", async () => {
  const [node] = newNodes({ h100: 1 });
  if (!node) throw new Error("There is no node");
  const world = await httpWorld({ nodes: [{ ...node, foreignUnits: node.units }] });
  const key = await world.login(second);
  const job = await submitJob(world, key);
  await world.advance(5_000);
  const shown = async () => {
    const response = await world.request("GET", `/v1/jobs/${job}`, { key });
    return (await response.json()) as Record<string, unknown>;
  };

  const behind = await shown();
  world.compute.setNode(node);
  await world.advance(70_000);

  expect(behind).toMatchObject({
    status: "queued",
    status_reason: expect.stringMatching(/^Need \d+ H100 GPUs?, but pods of others hold 8 of the existing GPUs/),
  });
  expect(await shown()).toMatchObject({ status: "active" });
});
