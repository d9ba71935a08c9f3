import { expect, test } from "vitest";
import { compareOrphans } from "#core/admin/orphans.ts";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { drainPool } from "#core/pools/admission/admission.ts";
import { refreshCapacity } from "#core/pools/capacity/capacity.ts";
import type { Item } from "#core/ports/table.ts";
import { forecastStartsKey, poolKey } from "#core/store/keys.ts";
import { buildApp } from "#http/app.ts";
import { loadCatalog } from "#http/catalog.ts";
import { countedPort } from "#tests/faults/counted-ports.ts";
import { leftoverRun } from "#tests/faults/leftover-run.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { internal } from "./metrics.ts";

const deployment = { version: "1.0.0", startedAt: 0, isolation: "none", limits: "none" };

async function scrape(world: MemoryWorld): Promise<{ response: Response; text: string; values: Map<string, number> }> {
  const { clock, ctx, table, queue } = world;
  const app = buildApp({ ...ctx, ports: { table, queue }, clock, deployment }, [internal]);
  const response = await app.request("/metrics");
  const text = await response.text();
  return { response, text, values: parse(text) };
}

/** The text format as Prometheus reads it: every line is a comment of a known family or one of its samples. */
function parse(text: string): Map<string, number> {
  const families = new Set<string>();
  const values = new Map<string, number>();
  for (const line of text.slice(0, -1).split("\n")) {
    const family = /^# TYPE ([a-z_]+) (?:gauge|counter|histogram)$/.exec(line)?.[1];
    if (family) families.add(family);
    if (line.startsWith("#")) continue;
    const sample = /^([a-z_]+)(\{(?:[a-z_]+="[^"\\]*",?)+\})? (-?[\d.e+-]+)$/.exec(line);
    const [, name = "", labels = "", value] = sample ?? [];
    const base = name.replace(/_(bucket|sum|count)$/, "");
    if (!sample || !(families.has(name) || families.has(base))) throw new Error(`Not in the format: ${line}`);
    values.set(`${name}${labels}`, Number(value));
  }
  return values;
}

test("queue, phases, waits, ends and capacity match the stores", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const failing = await createEnvironment(world.as("alice"), newEnvironment("fails", { command: "exit 2" }));
  world.compute.program(failing.uid, { kind: "exits", afterMs: 120_000, code: 2 });
  await world.advance(1000);
  await createEnvironment(world.as("bob"), newEnvironment("next"));
  await createEnvironment(world.as("carol"), newEnvironment("waits"));
  await world.advance(180_000);

  const { response, values } = await scrape(world);

  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(Object.fromEntries(values)).toMatchObject({
    'berth_jobs{gpu_type="h100",phase="active"}': 1,
    'berth_jobs{gpu_type="h100",phase="waiting"}': 1,
    'berth_capacity_units{gpu_type="h100",state="total"}': 8,
    'berth_capacity_units{gpu_type="h100",state="in_use"}': 8,
    'berth_capacity_units{gpu_type="h100",state="wanted"}': 8,
    'berth_jobs_ended_total{gpu_type="h100",status="failed",reason="command"}': 1,
    'berth_queue_wait_seconds_bucket{gpu_type="h100",le="1"}': 1,
    'berth_queue_wait_seconds_bucket{gpu_type="h100",le="300"}': 2,
    'berth_queue_wait_seconds_bucket{gpu_type="h100",le="+Inf"}': 2,
    'berth_queue_wait_seconds_count{gpu_type="h100"}': 2,
    'berth_admission_open{gpu_type="h100"}': 1,
    berth_reconcile_lag_seconds: 0,
    berth_orphan_gpu_hours_total: 0,
  });
  expect(values.get('berth_plans_total{gpu_type="h100"}')).toBeGreaterThan(1);
});

test("undelivered messages, overdue records and a drained type are shown", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await drainPool(world.ctx, "h100", true);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.clock.advance(90_000);

  const { values } = await scrape(world);

  expect(values.get('berth_queue_messages{queue="pools"}')).toBeGreaterThan(0);
  expect(values.get("berth_reconcile_lag_seconds")).toBeGreaterThan(60);
  expect(values.get('berth_admission_open{gpu_type="h100"}')).toBe(0);
});

test("the cluster is shown as unreachable from a failed listing of its machines until one succeeds", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await world.advance(60_000);
  const { compute } = world.ctx;
  const refuse = async () => Promise.reject(new Error("connect ECONNREFUSED 10.1.2.3:443"));
  const shown = async () => (await scrape(world)).values.get("berth_cluster_reachable");

  const before = await shown();
  Object.assign(world.ctx, { compute: { ...compute, listNodes: refuse } });
  await expect(refreshCapacity(world.ctx)).rejects.toThrow("ECONNREFUSED");
  const during = await shown();
  Object.assign(world.ctx, { compute });
  await refreshCapacity(world.ctx);

  expect([before, during, await shown()]).toEqual([1, 0, 1]);
});

test("an invalid ledger is shown as invalid", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1, a100: 1 }) });
  await world.advance(60_000);
  const before = (await scrape(world)).values;
  await world.table.put({ ...(await world.table.get(poolKey("h100"))), seen: 7 } as never);
  const [node] = (await viewPool(world.ctx, "a100"))?.nodes ?? [];
  await world.table.put({ ...node, held: 7 } as never);
  await world.advance(60_000);

  const { values } = await scrape(world);

  expect(before.get('berth_ledger_unreadable{gpu_type="h100"}')).toBe(0);
  expect(values.get('berth_ledger_unreadable{gpu_type="h100"}')).toBe(1);
  expect(before.get('berth_ledger_unreadable{gpu_type="a100"}')).toBe(0);
  expect(values.get('berth_ledger_unreadable{gpu_type="a100"}')).toBe(1);
});

test("the error of recent start estimates is shown by type, if it exists and can be read", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ nodes: newNodes({ h100: 1, a100: 1, "t4-small": 1 }), log });
  await world.advance(60_000);
  const forecast = (type: string, starts: unknown) => {
    const item: Item = { ...forecastStartsKey(type), writers: [], kind: "forecast", starts };
    return world.table.put(item);
  };
  await forecast("h100", [
    [3_600, 7_200, 7_200, 14_400],
    [3_600, 7_200, 7_200, 4_800],
  ]);
  await forecast("a100", "nonsense");
  await forecast("unknown", [[3_600, 7_200, 7_200, 14_400]]);
  log.lines.length = 0;

  const { response, values } = await scrape(world);

  expect(response.status).toBe(200);
  expect(Object.fromEntries([...values].filter(([name]) => name.startsWith("berth_estimate")))).toEqual({
    'berth_estimate_starts{gpu_type="h100"}': 2,
    'berth_estimate_covered_ratio{gpu_type="h100"}': 0.5,
    'berth_estimate_median_error_ratio{gpu_type="h100"}': 0.25,
  });
  expect(values.get('berth_admission_open{gpu_type="a100"}')).toBe(1);
  expect(values.get('berth_ledger_unreadable{gpu_type="a100"}')).toBe(0);
  expect(log.lines.filter(({ level }) => level !== "info")).toEqual([]);
});

test("one scrape makes one batch read for any number of types", async () => {
  const calls: string[] = [];
  const world = await memoryWorld();
  await world.advance(60_000);

  await scrape({ ...world, table: countedPort("table", world.table, calls) });

  expect(calls.filter((call) => call === "table.getMany")).toHaveLength(1);
  expect(calls.filter((call) => call === "table.get")).toHaveLength(1);
});

test("orphans are shown after the first comparison", async () => {
  const world = await memoryWorld({ leavesTombstones: false });
  const before = (await scrape(world)).values;
  const ended = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(1000);
  await requestCancel(world.as("alice"), "one");
  await world.advance(60_000);
  await world.compute.apply(
    leftoverRun({ uid: ended.uid, run: 2, key: `${ended.pk}|${ended.sk}`, node: "h100-1", now: world.clock.now() }),
  );

  await compareOrphans(world.ctx);
  world.clock.advance(450_000);
  await compareOrphans(world.ctx);
  const { values } = await scrape(world);
  world.clock.advance(450_000);
  await compareOrphans(world.ctx);

  const later = (await scrape(world)).values;
  expect(before.has("berth_orphan_runs")).toBe(false);
  expect(values.get("berth_orphan_runs")).toBe(1);
  expect(values.get("berth_orphan_gpu_hours_total")).toBe(1);
  expect(later.get("berth_orphan_runs")).toBe(0);
  expect(later.get("berth_orphans_removed_total")).toBe(1);
  expect(later.get("berth_orphan_gpu_hours_total")).toBe(2);
});

test("the metrics name no user, job or key", async () => {
  const world = await memoryWorld();
  const environment = await createEnvironment(world.as("alice"), newEnvironment("secret-project"));
  await world.advance(1000);

  const { text } = await scrape(world);

  for (const name of ["alice", "secret-project", environment.uid, environment.owner, "testtest"]) {
    expect(text).not.toContain(name);
  }
});

test("the catalog does not serve the metrics publicly", async () => {
  const { endpoints, internal: apart } = await loadCatalog();

  expect(apart.map(({ declaration }) => declaration.path)).toEqual(["/metrics"]);
  expect(endpoints.map(({ declaration }) => declaration.path)).not.toContain("/metrics");
});
