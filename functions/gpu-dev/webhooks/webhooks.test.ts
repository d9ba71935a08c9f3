import { expect, test } from "vitest";
import { type PutFaults, withPutFaults } from "#tests/faults/put-faults.ts";
import { smallJob } from "#tests/fixtures/catalog-requests.ts";
import { type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";
import { toJobEvent } from "./schemas.ts";

const url = "https://hooks.example/jobs?token=secret-of-the-receiver";

interface Shown {
  readonly deliveries: {
    readonly delivery_id: string;
    readonly environment_id: string;
    readonly phase: string;
    readonly state: string;
    readonly attempts: readonly object[];
    readonly next_attempt_at: string | null;
  }[];
  readonly next: string | null;
}

async function worldWithJobs(count = 1) {
  const world = await httpWorld({ nodes: newNodes({ "cpu-x86": 8 }), bodyOf: toJobEvent });
  const key = await world.login();
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push(await submit(world, key, { ...smallJob, webhook_url: url }));
  await world.advance(10_000);
  return { world, key, ids };
}

async function submit(world: HttpWorld, key: string, body: object): Promise<string> {
  const response = await world.request("POST", "/v1/jobs/submit", { key, body });
  expect(response.status).toBe(200);
  return String(((await response.json()) as { job_id: string }).job_id);
}

async function list(world: HttpWorld, key: string, query = ""): Promise<Shown> {
  const response = await world.request("GET", `/v1/webhooks/deliveries${query}`, { key });
  expect(response.status).toBe(200);
  return (await response.json()) as Shown;
}

test("a job posts its events to its webhook_url, with the job's own texts", async () => {
  const { world, key, ids } = await worldWithJobs();

  await world.request("POST", `/v1/jobs/${ids[0]}/cancel`, { key });
  await world.advance(60_000);

  const bodies = world.fetch.posts.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  expect(bodies.map(({ status }) => status)).toEqual(["queued", "preparing", "active", "cancelled"]);
  expect(bodies.at(-1)).toEqual({
    event_id: world.fetch.posts.at(-1)?.headers["webhook-id"],
    job_id: ids[0],
    user_id: "developer",
    status: "cancelled",
    timestamp: expect.stringMatching(/^2026-.*\.\d{3}Z$/),
    sequence: expect.any(Number),
    reason: "Cancelled by its owner",
  });
});

test("a coming end is posted as it is in the timeline, is taken back by an extension, and is posted anew", async () => {
  const { world, key, ids } = await worldWithJobs();
  const path = `/v1/jobs/${ids[0]}`;
  await world.advance(56 * 60_000);

  await world.request("POST", `${path}/extend`, { key, body: { extension_hours: 1 } });
  await world.advance(60 * 60_000);

  const bodies = world.fetch.posts.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  const sorted = bodies.toSorted((a, b) => Number(a.sequence) - Number(b.sequence));
  const events = sorted.filter(({ status, reason }) => status === "active" && reason !== null);
  const warnings = ["30", "15", "5"].map((minutes) => `active Expires in ${minutes} minutes`);
  const extended = expect.stringMatching(/^active Extended: expires at 2026-\d\d-\d\d \d\d:\d\d UTC$/);
  expect(events.map(({ status, reason }) => `${status} ${reason}`)).toEqual([...warnings, extended, ...warnings]);
  const response = await world.request("GET", path, { key });
  const { timeline } = (await response.json()) as { timeline: { reason: string | null }[] };
  expect(sorted.flatMap(({ reason }) => reason ?? [])).toEqual(timeline.flatMap(({ reason }) => reason ?? []));
});

test("events in any order are sorted by their sequence, even those of the same moment", async () => {
  const { world, ids } = await worldWithJobs(2);

  const bodies = world.fetch.posts.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  const statuses = ids.map((id) =>
    bodies
      .filter(({ job_id }) => job_id === id)
      .toSorted((a, b) => String(b.event_id).localeCompare(String(a.event_id)))
      .toSorted((a, b) => Number(a.sequence) - Number(b.sequence))
      .map(({ status, sequence }) => [sequence, status]),
  );
  const ofOne = [
    [1, "queued"],
    [2, "preparing"],
    [3, "active"],
  ];
  expect(statuses).toEqual([ofOne, ofOne]);
});

test("a resent event keeps its sequence and its timestamp", async () => {
  const { world, key } = await worldWithJobs();
  const [newest] = (await list(world, key)).deliveries;
  const [before] = world.fetch.posts.slice(-1);

  await world.request("POST", `/v1/webhooks/deliveries/${newest?.delivery_id}/resend`, { key });
  await world.advance(10_000);

  const posts = world.fetch.posts.filter(({ headers }) => headers["webhook-id"] === before?.headers["webhook-id"]);
  expect(posts.map(({ body }) => body)).toEqual([before?.body, before?.body]);
  expect(JSON.parse(String(before?.body)).sequence).toBe(3);
});

test("a body names its owner, even if a user copies another job's id and receiver", async () => {
  const { world, ids } = await worldWithJobs();
  const before = world.fetch.posts.length;
  const id = String(ids[0]);

  const job = { ...smallJob, webhook_url: url, env_vars: { RESERVATION_ID: id } };
  expect(await submit(world, await world.login(second), job)).toBe(id);
  await world.advance(10_000);

  const bodies = world.fetch.posts.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  const owners = (all: typeof bodies) => [...new Set(all.map(({ job_id, user_id }) => `${job_id} ${user_id}`))];
  expect(owners(bodies.slice(0, before))).toEqual([`${id} developer`]);
  expect(owners(bodies.slice(before))).toEqual([`${id} second`]);
});

test("deliveries of the caller are listed newest first, page by page, for one job or all", async () => {
  const { world, key, ids } = await worldWithJobs(3);

  const all = await list(world, key);
  const first = await list(world, key, "?limit=4");
  const second4 = await list(world, key, `?limit=4&after=${first.next}`);
  const ofOne = await list(world, key, `?environment_id=${ids[1]}`);
  const others = await list(world, await world.login(second));

  const listIds = ({ deliveries }: Shown) => deliveries.map(({ delivery_id }) => delivery_id);
  expect(all.deliveries).toHaveLength(9);
  expect(all.next).toBeNull();
  expect(listIds(all)).toEqual(listIds(all).toSorted().toReversed());
  expect([...listIds(first), ...listIds(second4)]).toEqual(listIds(all).slice(0, 8));
  expect(ofOne.deliveries.map(({ environment_id }) => environment_id)).toEqual([ids[1], ids[1], ids[1]]);
  expect(others).toEqual({ deliveries: [], next: null });
  expect(JSON.stringify(all)).not.toContain("hooks.example");
});

test("shows past and next attempts, and a resend starts over", async () => {
  const { world, key } = await worldWithJobs();
  world.fetch.answer(url, () => ({ status: 500, retryAfterMs: null }));
  const [newest] = (await list(world, key)).deliveries;
  const path = `/v1/webhooks/deliveries/${newest?.delivery_id}/resend`;

  const response = await world.request("POST", path, { key });
  await world.advance(10_000);

  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ delivery_id: newest?.delivery_id, state: "waiting" });
  const [again] = (await list(world, key)).deliveries;
  expect(again?.attempts.map((attempt) => "status" in attempt && attempt.status)).toEqual([200, 500, 500, 500]);
  expect(again?.next_attempt_at).toMatch(/Z$/);
  expect((await world.request("POST", path, { key: await world.login(second) })).status).toBe(404);
});

test.each([
  ["ftp://hooks.example/", "webhook_url must be a valid http or https URL"],
  ["https://private.example/", "webhook_url must not point to a private address"],
])("a webhook_url such as %s is refused and no job is created", async (webhook_url, text) => {
  const world = await httpWorld();
  const key = await world.login();

  const response = await world.request("POST", "/v1/jobs/submit", { key, body: { ...smallJob, webhook_url } });

  expect(response.status).toBe(400);
  const answers = await response.text();
  expect(answers).toContain(text);
  const estimate = await world.request("POST", "/v1/jobs/estimate", { key, body: { ...smallJob, webhook_url } });
  expect([estimate.status, await estimate.text()]).toEqual([400, answers]);
  const jobs = await world.request("GET", "/v1/jobs", { key });
  expect(await jobs.json()).toMatchObject({ total: 0 });
});

test("an `after` that is not the id of a delivery is refused", async () => {
  const world = await httpWorld();

  const response = await world.request("GET", "/v1/webhooks/deliveries?after=x", { key: await world.login() });

  expect(response.status).toBe(400);
});

test("a resend under a key is one new series, even if its answer was lost after any of its writes", async () => {
  for (let died = 1; died <= 2; died++) {
    const faults: PutFaults = {};
    const world = await httpWorld({
      nodes: newNodes({ "cpu-x86": 8 }),
      bodyOf: toJobEvent,
      wrap: withPutFaults(faults),
    });
    const key = await world.login();
    await submit(world, key, { ...smallJob, webhook_url: url });
    await world.advance(10_000);
    const newest = (await list(world, key)).deliveries[0];
    const before = world.fetch.posts.length;
    let writes = 0;
    faults.afterPut = () => {
      if (++writes === died) throw new Error("gone");
    };
    const resend = () =>
      world.request("POST", `/v1/webhooks/deliveries/${newest?.delivery_id}/resend`, {
        key,
        headers: { "Idempotency-Key": "k-1" },
      });
    await resend();
    delete faults.afterPut;
    await world.advance(120_000);

    const again = await resend();
    await world.advance(120_000);

    expect([again.status, again.headers.get("idempotency-replayed")], `died after write ${died}`).toEqual([
      200,
      "true",
    ]);
    expect(world.fetch.posts.length - before).toBe(1);
  }
});
