import { describe, expect, test } from "vitest";
import * as z from "zod";
import { refreshForecast } from "#core/pools/forecast/forecast-items.ts";
import { noDurations } from "#core/pools/forecast/workload.ts";
import { type Occupied, type PlanInput, plan } from "#core/pools/plan/plan.ts";
import type { Item } from "#core/ports/table.ts";
import { forecastKey } from "#core/store/keys.ts";
import { plainJob, submitJob } from "#tests/fixtures/catalog-requests.ts";
import { type HttpWorld, httpWorld } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

const HOUR = 3_600_000;

/** A world with a forecast of two machines: half of one is free, and ends come after one and three hours. */
async function forecastWorld(options: Partial<PlanInput> = {}) {
  const world = await httpWorld();
  const key = await world.login();
  // The planner makes a forecast at most every 10 s.
  world.clock.advance(10_000);
  const now = world.clock.now();
  const size = { wantedMs: HOUR };
  const held = (node: string, units: number, hours: number) => {
    return { owner: "x", shares: [{ node, units }], endsAt: now + hours * HOUR, at: now - HOUR, size };
  };
  const input: PlanInput = {
    nodes: ["n1", "n2"].map((name) => ({ name, zone: "zone-a", units: 8 })),
    occupied: [held("n1", 4, 3), held("n2", 8, 1)],
    waiting: [],
    makeable: [],
    unitsPerNode: 8,
    startupMs: 0,
    head: null,
    now,
    ...options,
  };
  const outset = {
    type: "h100",
    plan: input,
    planned: plan(input),
    number: 1,
    durations: async () => noDurations,
    started: [],
  };
  await refreshForecast(world.ctx, outset);
  return { world, key, now };
}

/** Half of a machine, until tomorrow. */
function halfInUse(node: string): Occupied {
  const at = Date.UTC(2026, 0, 20);
  return { owner: "x", shares: [{ node, units: 4 }], endsAt: at + 48 * HOUR, at, size: { wantedMs: 48 * HOUR } };
}

async function ask(world: HttpWorld, key: string, fields: Readonly<Record<string, unknown>> = {}) {
  const response = await world.request("POST", "/v1/jobs/estimate", { key, body: { ...plainJob, ...fields } });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** The one owner's disks get as many names as there may be. */
async function fillDirectory({ table }: HttpWorld): Promise<void> {
  const directory = table.all().find(({ kind }) => kind === "directory");
  if (!directory) throw new Error("Nobody has a disk");
  const names = Array.from({ length: 500 }, (_, n) => [`disk-${n}`, String(n).padStart(32, "0")]);
  await table.put({ ...directory, names } as Item);
}

function at(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

describe("an estimate for a job not yet submitted", () => {
  test("shows start, position, reason and alternatives that would start now", async () => {
    const { world, key, now } = await forecastWorld();

    const { status, body } = await ask(world, key);

    expect(status).toBe(200);
    expect(body).toEqual({
      estimated_start_time: at(now + HOUR),
      estimated_start_latest: at(now + HOUR),
      queue_position: 1,
      reason: "Need 8 H100 GPUs, only 4 available - position #1",
      alternatives: [{ gpu_count: 4, estimated_start_time: at(now), estimated_start_latest: at(now) }],
      gpu_hours: 8,
    });
  });

  test.each([
    [{ gpu_count: 1 }, 1],
    [{ gpu_count: 16, duration_hours: 2 }, 32],
    [{ gpu_count: 4, duration_hours: 1.3333 }, 5.333],
    [{ duration_hours: 0.5, env_vars: { GPU_COUNT: "2" } }, 1],
    [{ instance_type: "c7i.8xlarge", duration_hours: 5 }, 0],
    [{ instance_type: "p6-b200.48xlarge" }, 8],
  ])("shows for %j how many GPU-hours the job would use", async (fields, gpu_hours) => {
    const { world, key } = await forecastWorld();

    expect(await ask(world, key, fields)).toMatchObject({ status: 200, body: { gpu_hours } });
  });

  test("says that it would start now", async () => {
    const { world, key, now } = await forecastWorld();

    const { body } = await ask(world, key, { gpu_count: 2 });

    expect(body).toMatchObject({ estimated_start_time: at(now), reason: "Would start now", alternatives: [] });
  });

  test("never shows a past time", async () => {
    const { world, key } = await forecastWorld();
    world.clock.advance(90_000);

    const { body } = await ask(world, key, { gpu_count: 2 });

    expect(body).toMatchObject({ estimated_start_time: at(world.clock.now()) });
  });

  test("says why it would never start", async () => {
    const { world, key } = await forecastWorld({ nodes: [{ name: "n1", zone: "zone-a", units: 8 }] });

    const { body } = await ask(world, key, { gpu_count: 16 });

    expect(body).toMatchObject({
      estimated_start_time: null,
      estimated_start_latest: null,
      reason: "Need 16 H100 GPUs, more than the existing nodes have - position #1 in queue",
    });
  });

  test.each<[string, Partial<PlanInput>]>([
    ["a machine still to be made", { nodes: [], occupied: [], makeable: [{ count: 1, zones: [] }], startupMs: HOUR }],
    ["units that are free on several machines in parts", { occupied: ["n1", "n2"].map(halfInUse) }],
  ])("lists no alternatives if the first job in the queue waits for %s", async (_, options) => {
    const { world, key } = await forecastWorld(options);

    const { body } = await ask(world, key);

    expect(body).toMatchObject({
      estimated_start_time: expect.any(String),
      queue_position: 1,
      reason: "Need 8 H100 GPUs, but they are not free on machines where it can start - position #1",
    });
  });

  test("says that jobs are before it if there are any", async () => {
    const waiting = [
      { uid: "w", owner: "y", zone: null, queuedAt: 0, size: { machines: 2, units: 8, wantedMs: HOUR } },
    ];
    const { world, key } = await forecastWorld({ waiting, head: "w" });

    const { body } = await ask(world, key, { gpu_count: 4, duration_hours: 4 });

    expect(body).toMatchObject({ queue_position: 2, reason: expect.stringContaining("kept for jobs before it") });
  });

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ["a job that ends before it", { gpu_count: 4, duration_hours: 1 }, { reason: "Would start now", alternatives: [] }],
    [
      "a smaller form of a job that is too large",
      { gpu_count: 8, duration_hours: 1 },
      { alternatives: [{ gpu_count: 4 }] },
    ],
    ["no job that would delay it", { gpu_count: 4, duration_hours: 4 }, { queue_position: 2, alternatives: [] }],
  ])("lets %s start before the reserved job at once, as a plan does", async (_, fields, expected) => {
    const size = { machines: 2, units: 8, wantedMs: HOUR };
    const waiting = [{ uid: "w", owner: "y", zone: null, queuedAt: 0, size }];
    const { world, key, now } = await forecastWorld({ waiting, head: "w" });

    const { body } = await ask(world, key, fields);

    expect(body).toMatchObject(expected);
    const times = { estimated_start_time: at(now), estimated_start_latest: at(now) };
    const starting = [body, ...(body.alternatives as Record<string, unknown>[])];
    expect(starting.filter((fields) => fields.estimated_start_time === at(now))).toEqual(
      fields.duration_hours === 1 ? [expect.objectContaining(times)] : [],
    );
  });

  test("shows its horizon for a job that would start later", async () => {
    const { world, key, now } = await forecastWorld({ occupied: [] });
    const size = { wantedMs: 30 * 24 * HOUR };
    const occupied = ["n1", "n2"].map((node) => {
      return { owner: "x", shares: [{ node, units: 8 }], endsAt: now + size.wantedMs, at: now, size };
    });
    const nodes = ["n1", "n2"].map((name) => ({ name, zone: "zone-a", units: 8 }));
    const later = { nodes, occupied, waiting: [], makeable: [], unitsPerNode: 8, startupMs: 0, head: null };
    const input = { ...later, now: now + 20_000 };
    world.clock.advance(20_000);
    await refreshForecast(world.ctx, {
      type: "h100",
      plan: input,
      planned: plan(input),
      number: 2,
      durations: async () => noDurations,
      started: [],
    });

    const { body } = await ask(world, key);

    const ends = "it ends by itself after 96 hours, before it would start";
    const reason = `Starts later than ${at(now + 20_000 + 7 * 24 * HOUR)}; ${ends}`;
    expect(body).toMatchObject({ estimated_start_time: null, estimated_start_latest: null, reason });
  });

  test("never shows a past horizon", async () => {
    const { world, key, now } = await forecastWorld();
    const whole = (await world.table.get(forecastKey("h100", null))) as Item;
    const standing = { ...(whole.standing as object), later: now + 5_000, room: [], turns: [] };
    const short: Item = { ...whole, standing };
    await world.table.put(short);
    world.clock.advance(20_000);

    expect((await ask(world, key)).body).toMatchObject({ reason: `Starts later than ${at(now + 20_000)}` });
  });

  test("says that there is no such machine, and when a job that waits for it would end", async () => {
    const { world, key } = await forecastWorld();
    const ends = "no such machine takes jobs now: unless one does, it ends by itself after 48 hours";
    const input = { instance_type: "p4d.24xlarge" };

    const before = await ask(world, key, input);
    await submitJob(world, key, input);
    await world.advance(12_000);

    expect(before.body).toMatchObject({ queue_position: null, reason: `No A100 nodes available; ${ends}` });
    const reason = `No A100 nodes available - position #2 in queue; ${ends}`;
    expect((await ask(world, key, input)).body).toMatchObject({ estimated_start_time: null, reason });
  });

  test("shows no end of the wait for a type without machines if a node group would create one", async () => {
    const group = { pool: "h100", mostNodes: 1, startupMs: 5 * 60_000, zones: [] };
    const world = await httpWorld({ nodes: [], settings: { nodeGroups: [group] } });
    const key = await world.login();

    const { body } = await ask(world, key);
    expect(body).toMatchObject({ estimated_start_time: "2026-01-20T18:05:00Z", queue_position: 1 });
    expect(body.reason).not.toContain("ends by itself");
    await submitJob(world, key);
    await world.advance(12_000);
    expect((await ask(world, key)).body).toMatchObject({ estimated_start_time: expect.any(String) });
  });

  test("says nothing of the end of a wait while the one machine of a node group is not ready", async () => {
    const group = { pool: "h100", mostNodes: 1, startupMs: 5 * 60_000, zones: [] };
    const nodes = newNodes({ h100: 1 }).map((node) => ({ ...node, ready: false }));
    const world = await httpWorld({ nodes, settings: { nodeGroups: [group] } });
    const key = await world.login();
    const id = await submitJob(world, key);
    await world.advance(12_000);

    const shown = await world.request("GET", `/v1/jobs/${id}`, { key });

    expect(await shown.json()).toMatchObject({ status_reason: "No H100 nodes available - position #1 in queue" });
    expect((await ask(world, key)).body).toMatchObject({ reason: "No H100 nodes available - position #2 in queue" });
  });

  test("is empty if the forecast is old", async () => {
    const none = { estimated_start_time: null, queue_position: null, reason: "No estimate was made yet" };
    const { world, key } = await forecastWorld();

    world.clock.advance(11 * 60_000);
    expect((await ask(world, key)).body).toMatchObject(none);
  });

  test("is refused like the submit", async () => {
    const { world, key } = await forecastWorld();

    for (const fields of [{ gpu_count: 3 }, { image: "" }, { duration_hours: -1 }, { instance_type: "t2.micro" }]) {
      const submit = await world.request("POST", "/v1/jobs/submit", { key, body: { ...plainJob, ...fields } });
      const { status, body } = await ask(world, key, fields);

      expect(status).toBe(submit.status);
      expect(status).toBeGreaterThanOrEqual(400);
      expect(body).toEqual(await submit.json());
    }
  });

  test("is refused like the submit for a disk in use, a deleted one, and one above the limit", async () => {
    const { world, key } = await forecastWorld();
    await world.request("POST", "/v1/jobs/submit", { key, body: { ...plainJob, disk_name: "used" } });
    await world.request("POST", "/v1/disks", { key, body: { disk_name: "marked" } });
    await world.request("DELETE", "/v1/disks/marked", { key });

    for (const [disk_name, refused] of [
      ["used", 409],
      ["marked", 410],
    ] as const) {
      const submit = await world.request("POST", "/v1/jobs/submit", { key, body: { ...plainJob, disk_name } });
      const { status, body } = await ask(world, key, { disk_name });

      expect(status, disk_name).toBe(refused);
      expect([status, body]).toEqual([submit.status, await submit.json()]);
    }
    await fillDirectory(world);
    const { status, body } = await ask(world, key, { disk_name: "one-more" });
    expect([status, body]).toEqual([409, { detail: "There can be at most 500 disks, deleted ones included" }]);
  });

  test("does not promise units that a burst of jobs took since the last forecast", async () => {
    const world = await httpWorld({ nodes: newNodes({ h100: 2 }) });
    const key = await world.login();
    await submitJob(world, key, { gpu_count: 1 });
    await world.advance(15_000);
    expect((await ask(world, key)).body).toMatchObject({ reason: "Would start now" });

    for (const gpu_count of [8, 4, 2]) await submitJob(world, key, { gpu_count });
    await world.advance(2_000);

    const shown = await world.request("GET", "/v1/gpu/availability", { key });
    expect(await shown.json()).toMatchObject({ availability: { h100: { available: 1 } } });
    expect(await ask(world, key)).toEqual({
      status: 200,
      body: {
        estimated_start_time: null,
        estimated_start_latest: null,
        queue_position: null,
        reason:
          "Need 8 H100 GPUs, only 1 available; other jobs came since the last estimate, and the next one follows in seconds",
        alternatives: [
          { gpu_count: 1, estimated_start_time: expect.any(String), estimated_start_latest: expect.any(String) },
        ],
        gpu_hours: 8,
      },
    });
    await world.advance(15_000);
    expect((await ask(world, key)).body).toMatchObject({
      estimated_start_time: expect.any(String),
      queue_position: 1,
      reason: "Need 8 H100 GPUs, only 1 available - position #1",
    });
  });

  test("does not promise a whole machine if a burst left its GPUs spread over several", async () => {
    const world = await httpWorld({ nodes: newNodes({ h100: 4 }) });
    const key = await world.login();
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) {
      ids.push(await submitJob(world, key, { gpu_count: 4 }));
      await world.advance(2_000);
    }
    for (const id of [ids[0], ids[2]]) await world.request("POST", `/v1/jobs/${id}/cancel`, { key });
    await world.advance(120_000);
    // Three machines are free in half; with this job comes the forecast.
    await submitJob(world, key, { gpu_count: 1 });
    await world.advance(2_000);
    expect((await ask(world, key)).body).toMatchObject({ reason: "Would start now" });

    await submitJob(world, key, { gpu_count: 8 });
    await world.advance(2_000);

    const shown = await world.request("GET", "/v1/gpu/availability", { key });
    expect(await shown.json()).toMatchObject({ availability: { h100: { available: 11 } } });
    expect((await ask(world, key)).body).toMatchObject({
      estimated_start_time: null,
      reason:
        "Need 8 H100 GPUs, but they are not free on machines where it can start; other jobs came since the last estimate, and the next one follows in seconds",
      alternatives: [{ gpu_count: 4 }],
    });
  });

  test("promises no start for a type that the operator has just closed", async () => {
    const world = await httpWorld({ nodes: newNodes({ h100: 2 }), settings: { adminUsers: ["developer"] } });
    const key = await world.login();
    await submitJob(world, key, { gpu_count: 1 });
    await world.advance(15_000);

    await world.request("POST", "/v1/admin/pools/h100/drain", { key });

    expect((await ask(world, key)).body).toMatchObject({
      estimated_start_time: null,
      reason: "No new H100 jobs are started at the moment: drained by the operator - position #1",
      alternatives: [],
    });
  });

  test("writes nothing", async () => {
    const { world, key } = await forecastWorld();

    await ask(world, key, { disk_name: "new-disk" });

    const jobs = await world.request("GET", "/v1/jobs", { key });
    const disks = await world.request("GET", "/v1/disks", { key });
    expect(await jobs.json()).toMatchObject({ total: 0 });
    expect(await disks.json()).toMatchObject({ disks: [] });
  });
});

/** Returns a world with a job that waits behind two, or is the second of those, and with the planner's input for it. */
async function waitingWorld(endsInHours: number, awayMs = 0, isFirst = true) {
  const world = await httpWorld();
  const key = await world.login();
  for (let n = 0; n < 2; n++) await submitJob(world, key);
  await world.advance(2_000);
  if (!isFirst) await submitJob(world, key);
  await world.advance(2_000);
  const id = await submitJob(world, key);
  await world.advance(2_000);
  const { items } = await world.ctx.table.query({ index: "waiting", partition: "h100" });
  const uids = z.array(z.object({ uid: z.string() })).parse(items);
  // The planner makes a forecast at most every 10 s.
  world.clock.advance(10_000);
  const now = world.clock.now();
  const size = { wantedMs: HOUR };
  const owner = "x";
  const shares = [{ node: "n1", units: 8 }];
  const input: PlanInput = {
    nodes: [{ name: "n1", zone: "zone-a", units: 8 }],
    occupied: [{ owner, shares, endsAt: now + endsInHours * HOUR, at: now + (endsInHours - 1) * HOUR, size }],
    waiting: uids.map(({ uid }, n) => {
      return { uid, owner: "me", zone: null, queuedAt: now + n, size: { machines: 1, units: 8, ...size } };
    }),
    makeable: [],
    unitsPerNode: 8,
    startupMs: 0,
    head: null,
    now,
  };
  const outset = {
    type: "h100",
    plan: input,
    planned: plan(input),
    number: 1,
    durations: async () => noDurations,
    started: [],
  };
  await refreshForecast(world.ctx, outset);
  world.clock.advance(awayMs);
  const shown = await world.request("GET", `/v1/jobs/${id}`, { key });
  return { now, job: (await shown.json()) as Record<string, unknown> };
}

describe("a waiting job", () => {
  test("shows both times of the forecast, and the conditions that may change them", async () => {
    const { now, job } = await waitingWorld(5);

    expect(job).toMatchObject({
      estimated_start_time: at(now + 5 * HOUR),
      estimated_start_latest: at(now + 5 * HOUR),
      status_reason:
        "Need 8 H100 GPUs, only 0 available - position #1; " +
        "its start is reserved and moves only with the jobs it waits for",
    });
  });

  test("shows no past start while the planner is late, and says that it is late", async () => {
    const { now, job } = await waitingWorld(1 / 60, 5 * 60_000);

    expect(job).toMatchObject({
      estimated_start_time: at(now + 5 * 60_000),
      estimated_start_latest: at(now + 5 * 60_000),
      status_reason: expect.stringContaining(`position #1; it was to start by ${at(now + 60_000)} and is late`),
    });
  });

  test("shows the reserved start of the first job in the queue even beyond the forecast", async () => {
    const { now, job } = await waitingWorld(10 * 24);

    expect(job).toMatchObject({
      estimated_start_time: at(now + 10 * 24 * HOUR),
      estimated_start_latest: at(now + 10 * 24 * HOUR),
      status_reason: expect.stringContaining("position #1; its start is reserved"),
    });
  });

  test.each([
    ["the first in line, twice 48 hours", 10 * 24, true, "; it ends by itself at <end>, before it would start"],
    ["the first in line that starts within those", 60, true, "the jobs it waits for"],
    [
      "another one, 48 hours",
      60,
      false,
      "; it ends by itself at <end>, before it would start, unless it is the first in line by then",
    ],
    ["another job that starts within those", 40, false, "- position #2"],
  ])("says that its wait ends before its start: %s", async (_, hours, isFirst, words) => {
    const { job } = await waitingWorld(hours, 0, isFirst);

    const end = at(Date.parse(String(job.created_at)) + (isFirst ? 96 : 48) * HOUR);
    expect(job.status_reason).toMatch(new RegExp(`${words.replace("<end>", end)}$`));
  });
});
