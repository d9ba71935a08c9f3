import { expect, test } from "vitest";
import { countedPort } from "#tests/faults/counted-ports.ts";
import { fromConsole, makeWebCode } from "#tests/fixtures/browser.ts";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";

/** A world that notes each call that an endpoint makes to the table and the queue. */
async function countedWorld() {
  const calls: string[] = [];
  const world = await httpWorld({
    wrap: (ports) => ({
      ...ports,
      table: countedPort("table", ports.table, calls),
      queue: countedPort("queue", ports.queue, calls),
    }),
  });
  const key = await world.login();
  /** Returns the calls of one request. By default, the cached key has expired before. */
  const during = async (method: string, path: string, body?: unknown, waitMs = 31_000) => {
    world.clock.advance(waitMs);
    calls.length = 0;
    const { status } = await world.request(method, path, { key, body });
    expect(status).toBe(200);
    return [...calls];
  };
  return { world, key, during };
}

const keyRead = "table.get";
/** Counts the waiting jobs of the caller in this pool. */
const line = "table.count";
const job = { image: "ubuntu", instance_type: "p5.48xlarge", command: "true", env_vars: { A: "b" } };

test("submit = key + the caller's waiting list + spec + head + one send", async () => {
  const { during } = await countedWorld();

  expect(await during("POST", "/v1/jobs/submit", job)).toEqual([
    ...[keyRead, line, "table.put", "table.put", "queue.send"],
  ]);
});

test("get = key + one read, and the state of the cluster while it is active, or one plan item while it waits", async () => {
  const { world, key, during } = await countedWorld();
  const active = await submitJob(world, key, { gpu_count: 16 });
  world.clock.advance(1);
  const waiting = await submitJob(world, key);
  await world.advance(5_000);

  expect(await during("GET", `/v1/jobs/${active}`)).toEqual([keyRead, "table.get", "table.get"]);
  expect(await during("GET", `/v1/jobs/${waiting}`)).toEqual([keyRead, "table.get", "table.getMany"]);
});

test("get of a job with a command reads its specification too, until the job has ended", async () => {
  const { world, key, during } = await countedWorld();
  const id = await submitJob(world, key, { command: "sleep 60" });
  await world.advance(5_000);

  expect(await during("GET", `/v1/jobs/${id}`)).toEqual([keyRead, "table.get", "table.get", "table.get"]);
  await world.request("POST", `/v1/jobs/${id}/cancel`, { key });
  await world.advance(60_000);
  expect(await during("GET", `/v1/jobs/${id}`)).toEqual([keyRead, "table.get"]);
});

test("cancel and extend = key + one read + one write + one send; cancelling again only reads", async () => {
  const { world, key, during } = await countedWorld();
  const id = await submitJob(world, key);
  const changing = [keyRead, "table.get", "table.put", "queue.send"];

  expect(await during("POST", `/v1/jobs/${id}/extend`, { extension_hours: 1 })).toEqual(changing);
  expect(await during("POST", `/v1/jobs/${id}/cancel`)).toEqual(changing);
  expect(await during("POST", `/v1/jobs/${id}/cancel`)).toEqual([keyRead, "table.get"]);
});

test("list = key + one query, one batch read for those shown, the state of the cluster when one of these is active, and one batch more when one waits", async () => {
  const { world, key, during } = await countedWorld();
  for (let n = 0; n < 200; n++) await submitJob(world, key);
  await world.advance(5_000);
  const shown = [keyRead, "table.query", "table.getMany"];

  expect(await during("GET", "/v1/jobs?status=expired")).toEqual([keyRead, "table.query"]);
  expect(await during("GET", "/v1/jobs?status=active")).toEqual([...shown, "table.get"]);
  expect(await during("GET", "/v1/jobs?limit=200")).toEqual([...shown, "table.getMany", "table.get"]);
});

test("availability and status = key + one batch read", async () => {
  const { during } = await countedWorld();

  expect(await during("GET", "/v1/gpu/availability")).toEqual([keyRead, "table.getMany"]);
  expect(await during("GET", "/v1/cluster/status")).toEqual([keyRead, "table.getMany"]);
});

test("me = key + one read of the key", async () => {
  const { during } = await countedWorld();

  expect(await during("GET", "/v1/me")).toEqual([keyRead, "table.get"]);
});

test("a key is read once in 5 s, and again after that", async () => {
  const { during } = await countedWorld();
  const text = "table.getMany";

  expect(await during("GET", "/v1/gpu/availability")).toEqual([keyRead, text]);
  expect(await during("GET", "/v1/gpu/availability", undefined, 0)).toEqual([text]);
  expect(await during("GET", "/v1/gpu/availability", undefined, 5_000)).toEqual([text]);
  expect(await during("GET", "/v1/gpu/availability", undefined, 1)).toEqual([keyRead, text]);
});

test("endpoints without stored data make no store calls", async () => {
  const { during } = await countedWorld();

  for (const path of ["/", "/live", "/.well-known/berth", "/docs", "/openapi.json"])
    expect(await during("GET", path)).toEqual([]);
});

test("a code for a browser = key + its record + one write; opening a session reads the code, then its key and user", async () => {
  const calls: string[] = [];
  const world = await httpWorld({
    wrap: (ports) => ({ ...ports, table: countedPort("table", ports.table, calls) }),
  });
  const key = await world.login();
  world.clock.advance(31_000);
  calls.length = 0;
  const counted = () => calls.splice(0);

  const code = await makeWebCode(world, key);
  expect(counted()).toEqual([keyRead, "table.get", "table.put"]);
  await world.request("POST", "/v1/web/codes/show", { body: { code } });
  expect(counted()).toEqual(["table.get"]);
  const response = await world.request("POST", "/v1/web/sessions", { body: { code }, headers: fromConsole });
  expect(counted()).toEqual(["table.get", "table.put", "table.get", "table.get", "table.put", "table.put"]);
  const Cookie = response.headers.getSetCookie()[0]?.split(";")[0] ?? "";
  await world.request("DELETE", "/v1/web/sessions", { headers: { ...fromConsole, Cookie } });
  expect(counted()).toEqual([keyRead, "table.get", "table.get", "table.get", "table.put", "table.put"]);
});

test("environments = key + one query for each API, and the state of what is shown", async () => {
  const { world, key, during } = await countedWorld();
  const queries = Array.from({ length: 5 }, () => "table.query");
  expect(await during("GET", "/v1/environments")).toEqual([keyRead, ...queries]);
  expect(await during("GET", "/v1/environments?api=novita,dev8")).toEqual([keyRead, ...queries.slice(3)]);
  await submitJob(world, key, { gpu_count: 16 });
  world.clock.advance(1);
  await submitJob(world, key);
  await world.advance(5_000);

  expect(await during("GET", "/v1/environments?ended=true")).toEqual([keyRead, ...queries]);
  expect(await during("GET", "/v1/environments")).toEqual([keyRead, ...queries, "table.getMany", "table.getMany"]);
});
