import { expect, test } from "vitest";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { type HttpWorld, httpWorld, second } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

type Answer = readonly [status: number, body: Readonly<Record<string, unknown>>];

async function ask(world: HttpWorld, key: string, method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await world.request(method, path, { key, body });
  return [response.status, (await response.json()) as Readonly<Record<string, unknown>>];
}

const cancel = (world: HttpWorld, key: string, id: string) => ask(world, key, "POST", `/v1/jobs/${id}/cancel`);
const show = async (world: HttpWorld, key: string, id: string) => (await ask(world, key, "GET", `/v1/jobs/${id}`))[1];

const newId = (beginning: string) => `${beginning}000-0000-4000-8000-000000000000`;
const requested = (job_id: string, n: number) => [
  200,
  { job_id, action: "cancel", status: "requested", message: `Cancellation request submitted (message ID: ${n})` },
];

test("a job is cancelled at once, and its GPUs are free soon after", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key);
  await world.advance(3_000);

  const answer = await cancel(world, key, id);
  const shown = await show(world, key, id);
  await world.advance(15_000);

  expect(answer).toEqual(requested(id, 2));
  expect(shown).toMatchObject({ status: "cancelled", status_reason: "Cancelled by its owner", node_ip: null });
  expect(shown.actions).toEqual([
    {
      id: 2,
      action: "cancel",
      status: "requested",
      error: null,
      requested_at: "2026-01-20T18:00:03Z",
      completed_at: null,
    },
  ]);
  expect((await show(world, key, id)).actions).toMatchObject([{ id: 2, status: "done" }]);
  expect((await ask(world, key, "GET", "/v1/cluster/status"))[1]).toMatchObject({ in_use_gpus: 0, available_gpus: 16 });
});

test("a cancelled job says what its end waits for, until it has ended", async () => {
  const world = await httpWorld({ nodes: newNodes({ h100: 1 }) });
  const key = await world.login();
  const id = await submitJob(world, key);
  await world.advance(3_000);
  world.compute.removeNode("h100-1");

  await cancel(world, key, id);
  await world.advance(10 * 60_000);
  const waits = await show(world, key, id);
  world.compute.returnNode("h100-1");
  await world.advance(60_000);

  expect(waits).toMatchObject({
    status: "cancelled",
    status_reason: "Cancelled by its owner; its machine h100-1 does not answer; waiting until EC2 says that it is gone",
  });
  expect(await show(world, key, id)).toMatchObject({ status_reason: "Cancelled by its owner" });
});

test("cancelling again changes nothing and answers with the same number, even after the end", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key);

  const answers = [await cancel(world, key, id), await cancel(world, key, id)];
  await world.advance(20_000);
  answers.push(await cancel(world, key, id));

  expect(answers).toEqual([requested(id, 2), requested(id, 2), requested(id, 2)]);
  expect(await show(world, key, id)).toMatchObject({ status: "cancelled", actions: [{ id: 2, status: "done" }] });
});

test("the first 4 characters of an id cancel the only job of the caller that begins with them", async () => {
  const world = await httpWorld();
  const [key, otherKey] = [await world.login(), await world.login(second)];
  const [id, other, others] = ["aaaa1", "bbbb1", "aaaa2"].map(newId) as [string, string, string];
  await submitJob(world, key, { env_vars: { RESERVATION_ID: id } });
  await submitJob(world, key, { env_vars: { RESERVATION_ID: other } });
  await submitJob(world, otherKey, { env_vars: { RESERVATION_ID: others } });

  const tooShort = await cancel(world, key, "aaa");
  const cancelled = await cancel(world, key, "AAAA");

  expect(tooShort).toEqual([404, { detail: "Job aaa not found" }]);
  expect(cancelled).toEqual(requested(id, 2));
  expect(await show(world, key, id)).toMatchObject({ status: "cancelled" });
  expect((await show(world, key, other)).actions).toEqual([]);
  expect((await show(world, otherKey, others)).actions).toEqual([]);
});

test("the first 4 characters of two ids cancel neither job", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const ids = ["aaaa1", "aaaa2"].map(newId);
  for (const id of ids) await submitJob(world, key, { env_vars: { RESERVATION_ID: id } });

  const answer = await cancel(world, key, "aaaa");

  expect(answer).toMatchObject([409, { detail: "Job id 'aaaa' is ambiguous" }]);
  for (const id of ids) expect((await show(world, key, id)).actions).toEqual([]);
});

test("jobs behind one that no longer waits move up within a minute", async () => {
  const world = await httpWorld({ nodes: newNodes({ h100: 2 }) });
  const key = await world.login();
  await submitJob(world, key);
  await world.advance(3_000);
  const large = await submitJob(world, key, { gpu_count: 16 });
  await world.advance(3_000);
  const behind = await submitJob(world, key, { duration_hours: 72 });
  await world.advance(3_000);

  const before = await show(world, key, behind);
  await cancel(world, key, large);
  await world.advance(3_000);

  expect(before).toMatchObject({ status: "queued", queue_position: 2 });
  expect(await show(world, key, behind)).toMatchObject({ status: "active", queue_position: null });
});

test.each([
  ["expired", 10 * 60_000, undefined],
  ["completed", 20_000, "true"],
])("a job that is %s cannot be cancelled", async (status, ms, command) => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key, { duration_hours: 0.1, command });
  const { uid } = world.table.all().find((item) => item.id === id) as unknown as { readonly uid: string };
  if (command) world.compute.program(uid, { kind: "exits", code: 0, afterMs: 1_000 });
  await world.advance(ms);

  const answer = await cancel(world, key, id);

  expect(answer).toEqual([409, { detail: `Cannot cancel job ${id} in status ${status}` }]);
});

test("more than 20 open requests are refused, but a cancel never is", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key);
  const extend = () => ask(world, key, "POST", `/v1/jobs/${id}/extend`, { extension_hours: 1 });

  const statuses = [];
  for (let n = 0; n < 20; n++) statuses.push((await extend())[0]);
  const refused = await extend();
  const [cancelled] = await cancel(world, key, id);
  await world.advance(60_000);

  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(refused).toEqual([409, { detail: `Too many open requests for job ${id}` }]);
  expect([cancelled, (await ask(world, key, "GET", `/v1/jobs/${id}`))[1]]).toMatchObject([
    200,
    { status: "cancelled" },
  ]);
});
