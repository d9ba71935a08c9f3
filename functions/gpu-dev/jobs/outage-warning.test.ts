import { expect, test } from "vitest";
import { refreshCapacity } from "#core/pools/capacity/capacity.ts";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld, second } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

test("active jobs warn of a cluster that has not answered for a minute, and health shows since when", async () => {
  const world = await httpWorld({ nodes: newNodes({ h100: 2 }) });
  const key = await world.login(second);
  const job = await submitJob(world, key);
  await world.advance(5_000);
  const shown = async (path: string) => {
    const response = await world.request("GET", path, { key });
    return (await response.json()) as Record<string, unknown>;
  };
  const warnings = async () => {
    const { jobs } = (await shown("/v1/jobs")) as unknown as { jobs: { warning: unknown }[] };
    return [(await shown(`/v1/jobs/${job}`)).warning, ...jobs.map(({ warning }) => warning)];
  };
  const { listNodes } = world.compute;
  const away = async () => Promise.reject(new Error("connect ECONNREFUSED 10.1.2.3:443"));

  Object.assign(world.ctx, { compute: { ...world.compute, listNodes: away } });
  await refreshCapacity(world.ctx).catch(() => undefined);
  const since = world.clock.now();
  world.clock.advance(59_000);
  const early = await warnings();
  world.clock.advance(1_000);
  const late = await warnings();
  const health = await shown("/health");
  Object.assign(world.ctx, { compute: { ...world.compute, listNodes } });
  await refreshCapacity(world.ctx);
  const after = await warnings();

  const words = expect.stringMatching(/^The cluster has not answered since 20\d\d-.*; requests wait for it$/);
  expect(early).toEqual([null, null]);
  expect(late).toEqual([words, words]);
  const time = `${new Date(since).toISOString().slice(0, 19)}Z`;
  expect(health).toMatchObject({ status: "healthy", cluster: { reachable: false, since: time } });
  expect(JSON.stringify(health)).not.toContain("10.1.2.3");
  expect(after).toEqual([null, null]);
  expect((await shown("/health")).cluster).toMatchObject({ reachable: true });
});
