import { expect, test, vi } from "vitest";
import { plainJob } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";

vi.hoisted(() => {
  process.env.MACHINE_TYPES = "g6e.12xlarge=l40s:4:48:384";
});

const job = { ...plainJob, instance_type: "g6e.12xlarge" };

async function typedWorld() {
  const world = await httpWorld();
  const key = await world.login();
  const read = async (path: string) => (await (await world.request("GET", path, { key })).json()) as Answer;
  return { world, key, read };
}

interface Answer {
  readonly availability?: object;
  readonly by_gpu_type?: object;
}

const none = { total: 0, available: 0, in_use: 0, max_per_node: 4, largest_free: 0, scalable: 0, open: true };

test("a type that MACHINE_TYPES adds is listed before any machine and any job of it", async () => {
  const { read } = await typedWorld();

  const { availability } = await read("/v1/gpu/availability");
  const { by_gpu_type } = await read("/v1/cluster/status");

  expect(availability).toHaveProperty("l40s");
  expect(availability).toMatchObject({ l40s: { gpu_type: "l40s", instance_type: "g6e.12xlarge", queued: 0, ...none } });
  expect(availability).not.toHaveProperty("a100");
  expect(by_gpu_type).not.toHaveProperty("l40s");
});

test("a job of such a type waits for its machines", async () => {
  const { world, key, read } = await typedWorld();

  const submit = await world.request("POST", "/v1/jobs/submit", { key, body: { ...job, gpu_count: 4 } });
  const refused = await world.request("POST", "/v1/jobs/submit", { key, body: { ...job, gpu_count: 3 } });
  await world.advance(61_000);

  expect([submit.status, refused.status]).toEqual([200, 400]);
  expect(await refused.text()).toContain("g6e.12xlarge offers 1, 2, 4, 8, 12,");
  expect((await read("/v1/gpu/availability")).availability).toMatchObject({ l40s: { queued: 4, ...none } });
});
