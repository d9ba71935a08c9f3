import { describe, expect, test } from "vitest";
import { httpWorld } from "#tests/worlds/http-world.ts";
import { instanceWorld } from "#tests/worlds/instance-world.ts";

const SECOND = 1_000;
const MINUTE = 60_000;

describe("GET /api/cache/stats", () => {
  test("is zero before the first lookup", async () => {
    const world = await httpWorld();
    const key = await world.login();

    const response = await world.request("GET", "/api/cache/stats", { key });

    const none = { size: 0, hitRatio: 0, hits: 0, misses: 0 };
    expect([response.status, await response.json()]).toEqual([
      200,
      {
        timestamp: "2026-01-20T18:00:00.000Z",
        cacheManager: {
          cacheNames: ["instances", "products", "templates"],
          stats: { instances: none, products: none, templates: none },
        },
        services: { instance: { instanceDetailsCache: { size: 0, hitRatio: 0 } } },
        summary: { totalCaches: 3, totalEntries: 0, totalHits: 0, totalMisses: 0, overallHitRatio: 0 },
      },
    ]);
  });

  test("counts lookups, and its sums agree", async () => {
    const { ask, create, show } = await instanceWorld();
    await create({ productName: "nope" });
    await create();
    await show();
    await show();
    await show();

    const { body } = await ask("GET", "/api/cache/stats");
    const { stats, cacheNames } = body.cacheManager;
    const sum = (name: string) =>
      cacheNames.reduce((total: number, cacheName: string) => total + stats[cacheName][name], 0);

    expect(cacheNames).toEqual(["instances", "products", "templates"]);
    expect(stats.products).toMatchObject({ size: 1, misses: expect.any(Number), hits: expect.any(Number) });
    expect(stats.products.misses).toBeGreaterThan(1);
    expect(stats.templates.hits).toBeGreaterThan(0);
    expect(stats.instances).toEqual({ size: 1, hits: 2, misses: 1, hitRatio: 2 / 3 });
    expect(body.services.instance.instanceDetailsCache).toEqual({ size: 1, hitRatio: 2 / 3 });
    expect(body.summary).toEqual({
      totalCaches: 3,
      totalEntries: sum("size"),
      totalHits: sum("hits"),
      totalMisses: sum("misses"),
      overallHitRatio: sum("hits") / (sum("hits") + sum("misses")),
    });
  });
});

describe("GET /api/metrics", () => {
  test("counts the caller's requests, by status and per second of the last five minutes", async () => {
    const { world, ask, asStranger, show } = await instanceWorld();
    await world.advance(MINUTE);
    for (let n = 0; n < 8; n++) await show();
    await ask("GET", "/api/instances/inst_000000000000");

    const mine = (await ask("GET", "/api/metrics")).body.data.requests;
    const strangers = (await asStranger("GET", "/api/metrics")).body.data.requests;
    await world.advance(6 * MINUTE);
    const later = (await ask("GET", "/api/metrics")).body.data.requests;

    expect(mine).toEqual({ total: { count: 10, rate: 10 / 300 }, byStatus: { "2xx": 9, "4xx": 1, "5xx": 0 } });
    expect(strangers).toEqual({ total: { count: 0, rate: 0 }, byStatus: { "2xx": 0, "4xx": 0, "5xx": 0 } });
    expect(later.total).toEqual({ count: 11, rate: 0 });
  });

  test("counts jobs from the caller's records", async () => {
    const { world, ask, asStranger, create, id, head } = await instanceWorld();
    const { body } = await create({ webhookUrl: "https://your-app.com/webhook" });
    await world.advance(10 * SECOND);
    await ask("POST", `/api/instances/${id}/stop`);
    await world.advance(10 * SECOND);
    await ask("POST", `/api/instances/${id}/start`);
    await world.advance(10 * SECOND);

    const { jobs } = (await ask("GET", "/api/metrics")).body.data;
    const strangers = (await asStranger("GET", "/api/metrics")).body.data.jobs;
    await world.advance(6 * MINUTE);
    const later = (await ask("GET", "/api/metrics")).body.data.jobs;

    const steps = head(id).events.count + head(body.instanceId).events.count;
    const posts = world.fetch.posts.length;
    const byType = { create_instance: 3, monitor_instance: steps, send_webhook: posts };
    expect(posts).toBeGreaterThan(1);
    expect(jobs.byType).toEqual(byType);
    expect(jobs.total.processed).toBe(3 + steps + posts);
    expect(jobs.total.rate).toBeGreaterThan(0);
    expect(strangers).toEqual({
      total: { processed: 0, rate: 0 },
      byType: { create_instance: 0, monitor_instance: 0, send_webhook: 0 },
    });
    expect(later.total).toEqual({ processed: jobs.total.processed, rate: 0 });
  });

  test("shows numbers of the process", async () => {
    const { ask } = await instanceWorld();

    const { status, body } = await ask("GET", "/api/metrics");

    const { memory, cpu, uptime } = body.data.system;
    const numbers = [
      ...Object.values(memory),
      cpu.usage,
      ...cpu.loadAverage,
      uptime,
      ...Object.values(body.data.cache),
    ];
    expect([status, body.status]).toEqual([200, "success"]);
    expect(Object.keys(memory)).toEqual(["heapUsed", "heapTotal", "external", "rss"]);
    expect(cpu.loadAverage).toHaveLength(3);
    expect(numbers.every(Number.isFinite)).toBe(true);
    expect(memory.rss).toBeGreaterThan(1_000_000);
  });
});
