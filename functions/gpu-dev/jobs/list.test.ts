import { expect, test } from "vitest";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";

interface Listed {
  readonly jobs: readonly Readonly<Record<string, unknown>>[];
  readonly total: number;
  readonly limit: number;
  readonly offset: number;
}

async function list(world: HttpWorld, key: string, query = ""): Promise<Listed> {
  const response = await world.request("GET", `/v1/jobs${query}`, { key });
  expect(response.status).toBe(200);
  return (await response.json()) as Listed;
}

/** Seven jobs of the developer, the oldest first: two active, one cancelled, four waiting. */
async function busyWorld() {
  const world = await httpWorld();
  const key = await world.login();
  const ids: string[] = [];
  for (let n = 0; n < 7; n++) {
    ids.push(await submitJob(world, key));
    await world.advance(2_000);
  }
  await world.request("POST", `/v1/jobs/${ids[2]}/cancel`, { key });
  await world.advance(3_000);
  return { world, key, ids };
}

test("jobs are listed newest first, as GET shows them but without actions and timeline", async () => {
  const { world, key, ids } = await busyWorld();

  const { jobs, ...rest } = await list(world, key);

  const shown = await Promise.all(
    jobs.map(async (job) => {
      const response = await world.request("GET", `/v1/jobs/${job.job_id}`, { key });
      const { actions, timeline, command, ...summary } = (await response.json()) as Readonly<Record<string, unknown>>;
      expect([actions, timeline, command]).toEqual([expect.any(Array), expect.any(Array), null]);
      return summary;
    }),
  );
  expect(rest).toEqual({ total: 7, limit: 50, offset: 0 });
  expect(jobs.map((job) => job.job_id)).toEqual(ids.toReversed());
  expect(jobs).toEqual(shown);
  expect(jobs.map((job) => job.queue_position)).toEqual([4, 3, 2, 1, null, null, null]);
});

test("the four keys of a list are in order", async () => {
  const world = await httpWorld();

  const response = await world.request("GET", "/v1/jobs", { key: await world.login() });

  expect(await response.text()).toBe('{"jobs":[],"total":0,"limit":50,"offset":0}');
});

test.each([
  ["?status=active", 2],
  ["?status=queued", 4],
  ["?status=cancelled", 1],
  ["?status=queued,active", 6],
  ["?status=%20queued%20,+cancelled", 5],
  ["?status=pending", 0],
  ["?status=pending,active", 2],
  ["?status=preparing,completed,expired,failed", 0],
  ["?status=", 7],
  ["?unknown=1", 7],
])("%s finds %i", async (query, total) => {
  const { world, key } = await busyWorld();

  const listed = await list(world, key, query);

  expect([listed.total, listed.jobs.length]).toEqual([total, total]);
});

test("pages follow each other without a gap, and the total counts all that match", async () => {
  const { world, key, ids } = await busyWorld();

  const pages = await Promise.all([0, 3, 6, 9].map((offset) => list(world, key, `?limit=3&offset=${offset}`)));

  expect(pages.flatMap(({ jobs }) => jobs.map((job) => job.job_id))).toEqual(ids.toReversed());
  expect(pages.map(({ total, limit, offset }) => [total, limit, offset])).toEqual([
    [7, 3, 0],
    [7, 3, 3],
    [7, 3, 6],
    [7, 3, 9],
  ]);
});

const words = "queued, preparing, active, completed, expired, cancelled, failed, pending";
const wrong = [
  ["status", "done", "enum", `Input should be one of: ${words}`],
  ["status", "queued,done", "enum", `Input should be one of: ${words}`],
  ["status", "QUEUED", "enum", `Input should be one of: ${words}`],
  ["limit", "0", "greater_than_equal", "Input should be greater than or equal to 1"],
  ["limit", "501", "less_than_equal", "Input should be less than or equal to 500"],
  ["limit", "x", "int_type", "Input should be a valid integer"],
  ["limit", "1.5", "int_type", "Input should be a valid integer"],
  ["limit", "", "int_type", "Input should be a valid integer"],
  ["limit", "1e2", "int_type", "Input should be a valid integer"],
  ["offset", "-1", "greater_than_equal", "Input should be greater than or equal to 0"],
  ["offset", "x", "int_type", "Input should be a valid integer"],
  ["ended_after", "yesterday", "value_error", "Input should be a time such as 2026-01-20T18:30:00Z"],
  ["ended_after", "2026-01-20", "value_error", "Input should be a time such as 2026-01-20T18:30:00Z"],
  ["statuss", "queued", "value_error", "There is no parameter of this name. Did you mean status?"],
] as const;

test.each(wrong)("400 for %s=%s", async (name, input, type, msg) => {
  const world = await httpWorld();
  const key = await world.login();

  const response = await world.request("GET", `/v1/jobs?${name}=${input}`, { key });

  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ detail: [{ type, loc: ["query", name], msg }] });
});

test("jobs are found by their exact name, and by the time of their end", async () => {
  const { world, key, ids } = await busyWorld();
  const named = await submitJob(world, key, { name: "train é" });
  const found = async (query: string) => (await list(world, key, query)).jobs.map((job) => job.job_id);
  const ended = (await list(world, key, "?status=cancelled")).jobs[0]?.ended_at as string;
  const before = new Date(Date.parse(ended) - 1_000).toISOString();

  expect(await found(`?name=${encodeURIComponent("train é")}`)).toEqual([named]);
  expect(await found("?name=train")).toEqual([]);
  expect(await found("?name=train+%C3%A9&status=cancelled")).toEqual([]);
  expect(await found(`?ended_after=${before}`)).toEqual([ids[2]]);
  expect(await found(`?ended_after=${encodeURIComponent(before.replace("Z", "+00:00"))}`)).toEqual([ids[2]]);
  expect(await found(`?ended_after=${ended}&status=active`)).toEqual([]);
  expect(await list(world, key, `?ended_after=${before}`)).toMatchObject({ total: 1 });
});

test("a limit of 500 is accepted, and an offset may be far beyond the end", async () => {
  const { world, key } = await busyWorld();

  const listed = await list(world, key, "?limit=500&offset=1000000");

  expect(listed).toEqual({ jobs: [], total: 7, limit: 500, offset: 1_000_000 });
});

test("a user sees neither the jobs of another owner nor their number", async () => {
  const { world } = await busyWorld();

  const listed = await list(world, await world.login(second));

  expect(listed).toEqual({ jobs: [], total: 0, limit: 50, offset: 0 });
});
