import { expect, test } from "vitest";
import { submitJob } from "#testing/catalog-requests.ts";
import { type HttpWorld, httpWorld, second } from "#testing/http-world.ts";
import { nodesOf } from "#testing/memory-world.ts";

async function textOf(world: HttpWorld, key: string, path: string): Promise<string> {
  const response = await world.request("GET", path, { key });
  expect(response.status).toBe(200);
  return response.text();
}

/** 24 GPUs of three types and a CPU machine; one H100 machine is active, half of the A10Gs, and two jobs wait. */
async function busyWorld() {
  const world = await httpWorld({ nodes: nodesOf({ h100: 2, a10g: 1, "t4-small": 1, "cpu-x86": 1 }) });
  const [key, other] = [await world.login(), await world.login(second)];
  await submitJob(world, key, { gpu_count: 8 });
  await submitJob(world, other, { instance_type: "g5.12xlarge", gpu_count: 2 });
  await submitJob(world, other, { instance_type: "c7i.8xlarge" });
  await world.advance(3_000);
  await submitJob(world, key, { gpu_count: 16 });
  await submitJob(world, other, { instance_type: "p4d.24xlarge" });
  await world.advance(61_000);
  return { world, key, other };
}

const h100 = { gpu_type: "h100", total: 16, available: 8, in_use: 8, queued: 16, max_per_node: 8 };
const byType = {
  a100: { gpu_type: "a100", total: 0, available: 0, in_use: 0, queued: 8, max_per_node: 8 },
  a10g: { gpu_type: "a10g", total: 4, available: 2, in_use: 2, queued: 0, max_per_node: 4 },
  "cpu-x86": { gpu_type: "cpu-x86", total: 0, available: 0, in_use: 0, queued: 0, max_per_node: 0 },
  h100,
  "t4-small": { gpu_type: "t4-small", total: 1, available: 1, in_use: 0, queued: 0, max_per_node: 1 },
};
const stamp = /"timestamp":"2026-01-20T18:0\d:\d\dZ"}$/;

test("availability has the documented keys in their order, types sorted, and counts all owners", async () => {
  const { world, key, other } = await busyWorld();

  const text = await textOf(world, key, "/v1/gpu/availability");

  expect(text.replace(stamp, "")).toBe(`{"availability":${JSON.stringify(byType)},`);
  expect(text).toMatch(stamp);
  expect(await textOf(world, other, "/v1/gpu/availability")).toBe(text);
});

test("status has the documented keys in their order, and its sums are those of the types", async () => {
  const { world, key, other } = await busyWorld();

  const text = await textOf(world, key, "/v1/cluster/status");

  const totals = {
    total_gpus: 21,
    available_gpus: 11,
    in_use_gpus: 10,
    queued_gpus: 24,
    active_reservations: 3,
    preparing_reservations: 0,
    queued_reservations: 2,
    pending_reservations: 0,
    by_gpu_type: byType,
  };
  expect(text.replace(stamp, "")).toBe(`${JSON.stringify(totals).slice(0, -1)},`);
  expect(text).toMatch(stamp);
  expect(await textOf(world, other, "/v1/cluster/status")).toBe(text);
});

test("the numbers are never older than a minute, and say their time", async () => {
  const { world, key } = await busyWorld();

  for (let step = 0; step < 10; step++) {
    await world.advance(13_000);
    const { timestamp } = JSON.parse(await textOf(world, key, "/v1/gpu/availability")) as { timestamp: string };

    const age = world.clock.now() - Date.parse(timestamp);
    expect(age).toBeGreaterThanOrEqual(0);
    expect(age).toBeLessThan(62_000);
  }
});

test("without any machine there is no type and every sum is 0", async () => {
  const world = await httpWorld({ nodes: [] });
  const key = await world.login();

  const [availability, status] = [
    await textOf(world, key, "/v1/gpu/availability"),
    await textOf(world, key, "/v1/cluster/status"),
  ];

  expect(JSON.parse(availability)).toEqual({ availability: {}, timestamp: "2026-01-20T18:00:00Z" });
  expect(JSON.parse(status)).toMatchObject({ total_gpus: 0, pending_reservations: 0, by_gpu_type: {} });
});

test("a preparing job is in use and counted as preparing", async () => {
  const world = await httpWorld({ delays: { imageMs: 60_000 } });
  const key = await world.login();
  await submitJob(world, key);

  await world.advance(10_000);

  expect(JSON.parse(await textOf(world, key, "/v1/cluster/status"))).toMatchObject({
    in_use_gpus: 8,
    available_gpus: 8,
    preparing_reservations: 1,
    active_reservations: 0,
    queued_reservations: 0,
  });
});
