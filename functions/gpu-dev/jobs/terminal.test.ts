import { expect, test } from "vitest";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { testSettings } from "#tests/fixtures/settings.ts";
import { httpWorld, second } from "#tests/worlds/http-world.ts";

async function activeJob() {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key);
  await world.advance(5_000);
  const ask = async (body?: unknown, sender = key) => {
    const response = await world.request("POST", `/v1/jobs/${id}/terminal`, { key: sender, body });
    return { status: response.status, body: (await response.json()) as Readonly<Record<string, string>> };
  };
  return { world, key, id, ask };
}

test("a ticket has an address, a terminal and 30 s, and no two are equal", async () => {
  const { id, ask } = await activeJob();
  const { domain } = testSettings();

  const [first, other] = [await ask(), await ask({})];

  expect(first.status).toBe(200);
  expect(first.body).toEqual({
    url: `ws://${id}.${domain}/.berth/terminal`,
    ticket: expect.stringMatching(/^[\w-]{43}$/),
    expires_at: "2026-01-20T18:00:35Z",
    terminal_id: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  expect(other.body.ticket).not.toBe(first.body.ticket);
  expect(other.body.terminal_id).not.toBe(first.body.terminal_id);
});

test("a known terminal keeps its id", async () => {
  const { ask } = await activeJob();
  const terminal_id = "0123456789abcdef".repeat(2);

  expect((await ask({ terminal_id })).body).toMatchObject({ terminal_id });
});

test.each(["0".repeat(31), "../../x", "G".repeat(32), 7])("the terminal id %j is refused", async (terminal_id) => {
  const { ask } = await activeJob();

  expect((await ask({ terminal_id })).status).toBe(400);
});

test("another user's job is unknown, and a cancelled one has no terminal", async () => {
  const { world, key, id, ask } = await activeJob();

  const other = await ask({}, await world.login(second));
  await world.request("POST", `/v1/jobs/${id}/cancel`, { key });
  const cancelled = await ask();

  expect(other).toMatchObject({ status: 404, body: { detail: `Job ${id} not found` } });
  expect(cancelled).toMatchObject({
    status: 409,
    body: { detail: `Cannot open a terminal of job ${id} in status cancelled` },
  });
});
