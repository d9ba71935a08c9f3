import { expect, test } from "vitest";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";

type Answer = readonly [status: number, body: Readonly<Record<string, unknown>>];

async function extend(world: HttpWorld, key: string, id: string, body: unknown): Promise<Answer> {
  const response = await world.request("POST", `/v1/jobs/${id}/extend`, { key, body });
  return [response.status, (await response.json()) as Readonly<Record<string, unknown>>];
}

async function show(world: HttpWorld, key: string, id: string): Promise<Readonly<Record<string, unknown>>> {
  return (await (await world.request("GET", `/v1/jobs/${id}`, { key })).json()) as Readonly<Record<string, unknown>>;
}

const newId = (beginning: string) => `${beginning}000-0000-4000-8000-000000000000`;
const message = (hours: string, n: number) => `Extension request submitted for ${hours} hours (message ID: ${n})`;

test("the new end appears shortly after the answer, and the job lives until then", async () => {
  const world = await httpWorld({ settings: { keyTtlHours: 12 } });
  const key = await world.login();
  const id = await submitJob(world, key, { duration_hours: 1 });
  await world.advance(3_000);

  const answer = await extend(world, key, id, { extension_hours: 2.0 });
  const shown = await show(world, key, id);
  await world.advance(2.9 * 3_600_000);
  const late = await show(world, key, id);
  await world.advance(0.2 * 3_600_000);

  expect(answer).toEqual([200, { job_id: id, action: "extend", status: "requested", message: message("2", 2) }]);
  expect(shown).toMatchObject({
    status: "active",
    duration_hours: 1,
    expires_at: "2026-01-20T19:00:00Z",
    actions: [{ id: 2, action: "extend", status: "requested", error: null, completed_at: null }],
  });
  const done = { duration_hours: 3, expires_at: "2026-01-20T21:00:00Z", actions: [{ id: 2, status: "done" }] };
  expect(late).toMatchObject({ status: "active", ...done });
  expect(await show(world, key, id)).toMatchObject({ status: "expired", duration_hours: 3 });
});

test("the first 4 characters of an id extend the only job of the caller that begins with them", async () => {
  const world = await httpWorld();
  const [key, otherKey] = [await world.login(), await world.login(second)];
  const [id, other, others] = ["aaaa1", "bbbb1", "aaaa2"].map(newId) as [string, string, string];
  await submitJob(world, key, { duration_hours: 1, env_vars: { RESERVATION_ID: id } });
  await submitJob(world, key, { duration_hours: 1, env_vars: { RESERVATION_ID: other } });
  await submitJob(world, otherKey, { duration_hours: 1, env_vars: { RESERVATION_ID: others } });

  const tooShort = await extend(world, key, "aaa", { extension_hours: 2 });
  const extended = await extend(world, key, "AAAA", { extension_hours: 2 });
  await world.advance(3_000);

  expect(tooShort).toEqual([404, { detail: "Job aaa not found" }]);
  expect(extended).toEqual([200, { job_id: id, action: "extend", status: "requested", message: message("2", 2) }]);
  expect(await show(world, key, id)).toMatchObject({ duration_hours: 3, actions: [{ action: "extend" }] });
  expect(await show(world, key, other)).toMatchObject({ duration_hours: 1, actions: [] });
  expect(await show(world, otherKey, others)).toMatchObject({ duration_hours: 1, actions: [] });
});

test("the first 4 characters of two ids extend neither job", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const ids = ["aaaa1", "aaaa2"].map(newId);
  for (const id of ids) await submitJob(world, key, { duration_hours: 1, env_vars: { RESERVATION_ID: id } });

  const answer = await extend(world, key, "aaaa", { extension_hours: 2 });

  expect(answer).toMatchObject([409, { detail: "Job id 'aaaa' is ambiguous" }]);
  for (const id of ids) expect(await show(world, key, id)).toMatchObject({ duration_hours: 1, actions: [] });
});

test("the warning of a job includes its coming end until an extension appears", async () => {
  const world = await httpWorld();
  const key = await world.login();
  world.githubKeys.publish("empty", new Error("GitHub is away"));
  const id = await submitJob(world, key, { duration_hours: 0.1 });
  await world.advance(30_000);
  const getWarning = async () => (await show(world, key, id)).warning;
  const before = await getWarning();

  await world.advance(60_000);
  const warned = await getWarning();
  await world.request("POST", `/v1/jobs/${id}/users`, { key, body: { github_username: "empty" } });
  world.githubKeys.publish("empty", "\n");
  await world.advance(120_000);
  const both = await getWarning();
  await extend(world, key, id, { extension_hours: 1 });
  const warning = await getWarning();
  await world.advance(3_000);

  const failed = "add_user (request 2) failed: No SSH keys found for GitHub user 'empty'";
  expect([before, warned]).toEqual([null, "Expires in 5 minutes"]);
  expect([both, warning]).toEqual([`Expires in 3 minutes; ${failed}`, `Expires in 3 minutes; ${failed}`]);
  expect(await getWarning()).toBe(failed);
});

test("requests are numbered one after the other, and fractions of an hour are kept", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key, { duration_hours: 1 });

  const answers = [
    await extend(world, key, id, { extension_hours: 0.5 }),
    await extend(world, key, id, { extension_hours: 1.25 }),
    await extend(world, key, id, { extension_hours: 0.083, unknown: 1 }),
  ];

  await world.advance(3_000);
  expect(answers.map(([, body]) => body.message)).toEqual([message("0.5", 2), message("1.25", 3), message("0.083", 4)]);
  expect(await show(world, key, id)).toMatchObject({ status: "active", duration_hours: 2.833 });
});

test("a job may be extended to 168 hours in all and no further", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key, { duration_hours: 72 });

  const answers = [];
  for (const extension_hours of [72, 25, 24.5, 24, 0.25]) {
    answers.push(await extend(world, key, id, { extension_hours }));
  }

  const beyond = (hours: string) => [
    400,
    { detail: `Cannot extend beyond 168 hours in total. Total would be ${hours} hours` },
  ];
  expect(answers.map(([status]) => status)).toEqual([200, 400, 400, 200, 400]);
  expect([answers[1], answers[2], answers[4]]).toEqual([beyond("169"), beyond("168.5"), beyond("168.25")]);
  await world.advance(3_000);
  expect(await show(world, key, id)).toMatchObject({ duration_hours: 168 });
});

const least = "Input should be greater than or equal to 0.083";
const number = "Input should be a valid number";
const wrong = [
  [{}, "missing", "Field required", {}],
  [undefined, "missing", "Field required", {}],
  [{ extension_hours: 0 }, "greater_than_equal", least, 0],
  [{ extension_hours: -1 }, "greater_than_equal", least, -1],
  [{ extension_hours: 0.01 }, "greater_than_equal", least, 0.01],
  [{ extension_hours: 73 }, "less_than_equal", "Input should be less than or equal to 72", 73],
  [{ extension_hours: "x" }, "float_type", number, "x"],
  [{ extension_hours: "2" }, "float_type", number, "2"],
  [{ extension_hours: null }, "float_type", number, null],
] as const;

test.each(wrong)("400 for the body %j, even for an unknown job", async (body, type, msg, input) => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key);

  for (const at of [id, "nothing"]) {
    const answer = await extend(world, key, at, body);

    expect(answer).toEqual([400, { detail: [{ type, loc: ["body", "extension_hours"], msg, input }] }]);
  }
});

test.each(["cancelled", "expired"])("a job that is %s cannot be extended", async (status) => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key, { duration_hours: 0.25 });
  if (status === "cancelled") await world.request("POST", `/v1/jobs/${id}/cancel`, { key });
  const early = status === "cancelled" ? await extend(world, key, id, { extension_hours: 1 }) : undefined;
  await world.advance(20 * 60_000);

  const late = await extend(world, key, id, { extension_hours: 1 });

  const refusal = [409, { detail: `Cannot extend job ${id} in status ${status}` }];
  expect(late).toEqual(refusal);
  if (early) expect(early).toEqual(refusal);
});
