import { expect, test } from "vitest";
import { smallJob } from "#tests/fixtures/catalog-requests.ts";
import { type HttpWorld, httpWorld } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";
import { toJobEvent } from "../webhooks/schemas.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test("a Spot interruption is in the job's warning, its timeline and its webhook", async () => {
  const world = await httpWorld({ nodes: newNodes({ "cpu-x86": 1 }), bodyOf: toJobEvent });
  const key = await world.login();
  const body = { ...smallJob, webhook_url: "https://hooks.example/jobs" };
  const submitted = await world.request("POST", "/v1/jobs/submit", { key, body });
  const { job_id } = (await submitted.json()) as { job_id: string };
  await world.advance(10_000);

  const notice = { machine: "cpu-x86-1", kind: "spot", at: world.clock.now() } as const;
  await world.queue.send("work", { look: "machine|-", notice });
  await world.advance(1_000);

  const words = "Interruption: EC2 Spot takes its machine back in 2 minutes: cpu-x86-1";
  const response = await world.request("GET", `/v1/jobs/${job_id}`, { key });
  const job = (await response.json()) as { warning: string; timeline: object[] };
  const events = world.fetch.posts.map((post) => JSON.parse(post.body) as object);
  expect(job).toMatchObject({
    status: "active",
    warning: expect.stringMatching(`^${words} \\(as of 2026-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC\\)$`),
  });
  expect(job.timeline.at(-1)).toMatchObject({ status: "active", reason: words });
  expect(events.at(-1)).toMatchObject({ job_id, status: "active", reason: words });
});

test("an evicted job with on_interruption requeue is queued in status, timeline and webhook, and active again", async () => {
  const delays = { removeMs: 20_000 };
  const world = await httpWorld({ nodes: newNodes({ "cpu-x86": 2 }), delays, bodyOf: toJobEvent });
  const key = await world.login();
  const wanted = { on_interruption: "requeue", duration_hours: 2, webhook_url: "https://hooks.example/jobs" };
  const submitted = await world.request("POST", "/v1/jobs/submit", { key, body: { ...smallJob, ...wanted } });
  const { job_id } = (await submitted.json()) as { job_id: string };
  const read = async () => (await (await world.request("GET", `/v1/jobs/${job_id}`, { key })).json()) as Shown;
  await world.advance(HOUR);
  const before = await read();

  const uid = (await world.compute.listRuns())[0]?.uid ?? "";
  world.compute.evict(uid, 1);
  await world.advance(1_000);
  const between = await untilStatus(world, read, "queued");
  await world.advance(2 * MINUTE);
  const after = await read();
  world.compute.kill(uid, 2);
  await world.advance(2 * MINUTE);
  const ended = await read();

  expect(before).toMatchObject({ status: "active", on_interruption: "requeue", requeue_count: 0, duration_hours: 2 });
  expect(between).toMatchObject({ expires_at: null, ssh_command: null, ended_at: null });
  expect(between.status_reason).toBe("it was evicted from its machine; it returns to the queue");
  expect(after).toMatchObject({ status: "active", requeue_count: 1, launched_at: before.launched_at });
  expect(after.duration_hours).toBeCloseTo(1, 1);
  const statuses = after.timeline.map(({ status }) => status).filter((status, at, all) => status !== all[at - 1]);
  expect(statuses).toEqual(["queued", "preparing", "active", "queued", "preparing", "active"]);
  expect(after.timeline.map(({ reason }) => reason)).toContainEqual(QUEUED_AGAIN);
  const posts = world.fetch.posts.map((post) => JSON.parse(post.body) as { status: string; reason: string | null });
  expect(posts).toContainEqual(expect.objectContaining({ status: "queued", reason: QUEUED_AGAIN }));
  const told = posts.map(({ status }) => status);
  expect(told.filter((status, at) => status !== told[at - 1])).toEqual([...statuses, "failed"]);
  // The former end keeps its status when another end follows.
  expect(ended.timeline.map(({ status }) => status).filter((status, at, all) => status !== all[at - 1])).toEqual([
    ...statuses,
    "failed",
  ]);
});

const QUEUED_AGAIN = "Queued again with 60 minutes left: it was evicted from its machine";

interface Shown {
  readonly status: string;
  readonly status_reason: string | null;
  readonly launched_at: string;
  readonly duration_hours: number;
  readonly timeline: readonly { readonly status: string; readonly reason: string | null }[];
}

async function untilStatus(world: HttpWorld, read: () => Promise<Shown>, status: string): Promise<Shown> {
  for (let passed = 0; passed < 60; passed++) {
    const job = await read();
    if (job.status === status) return job;
    await world.advance(1_000);
  }
  throw new Error(`The job never was ${status}`);
}
