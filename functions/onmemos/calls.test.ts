import { expect, test } from "vitest";
import { countedPort } from "#tests/faults/counted-ports.ts";
import { plainSession as plain } from "#tests/fixtures/catalog-requests.ts";
import { onmemosWorld } from "#tests/worlds/onmemos-world.ts";

const id = "ws-my-project-developer-1768932000";

/** Returns a world with a running session, and a function that counts the calls of a request without a cached key. */
async function countedWorld() {
  const calls: string[] = [];
  const fixture = await onmemosWorld({
    wrap: (ports) => ({
      ...ports,
      table: countedPort("table", ports.table, calls),
      queue: countedPort("queue", ports.queue, calls),
      compute: countedPort("compute", ports.compute, calls),
    }),
  });
  await fixture.create();
  return async (method: string, path: string, body?: unknown) => {
    fixture.world.clock.advance(31_000);
    calls.length = 0;
    const { status } = await fixture.ask(method, path, body);
    expect(status).toBeLessThan(300);
    return [...calls];
  };
}

const keyRead = "table.get";
/** How many of the caller's wait for this pool, counted in the index. */
const line = "table.count";

test("create = key + the caller's waiting list + host label + spec + head + one send, and one read per check whether it runs", async () => {
  const during = await countedWorld();

  expect(await during("POST", "/v1/sessions", { ...plain, user: "other" })).toEqual([
    ...[keyRead, line, "table.put", "table.put", "table.put", "queue.send"],
    ...["table.get", "table.get"],
  ]);
});

test("get and connect = key + one read; lists = key + one query and a batch read of the shown page", async () => {
  const during = await countedWorld();

  expect(await during("GET", `/v1/sessions/${id}`)).toEqual([keyRead, "table.get"]);
  expect(await during("GET", `/v1/sessions/${id}/connect`)).toEqual([keyRead, "table.get"]);
  expect(await during("GET", `/v1/cloudrun/workspaces/${id}`)).toEqual([keyRead, "table.get"]);
  expect(await during("GET", "/v1/sessions?user=developer")).toEqual([keyRead, "table.query", "table.getMany"]);
  expect(await during("GET", "/v1/cloudrun/workspaces")).toEqual([keyRead, "table.query", "table.getMany"]);
});

test("a command = key + three reads, its mark if that moves by more than a minute, its start and its end", async () => {
  const during = await countedWorld();
  const reads = [keyRead, "table.get", "table.get", "table.get"];
  const run = ["compute.startExec", "compute.readExec"];

  expect(await during("POST", `/v1/sessions/${id}/execute`, { command: "x", timeout: 60 })).toEqual([
    ...[...reads, "table.put", ...run],
  ]);
  expect(await during("POST", `/v1/cloudrun/workspaces/${id}/runpython?code=x&timeout=60`)).toEqual([...reads, ...run]);
});

test("delete = key + two reads + one write + one send", async () => {
  const during = await countedWorld();

  expect(await during("DELETE", `/v1/sessions/${id}`)).toEqual([
    ...[keyRead, "table.get", "table.get", "table.put", "queue.send"],
  ]);
});
