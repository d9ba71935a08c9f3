import { expect, test } from "vitest";
import { countedPort } from "#tests/faults/counted-ports.ts";
import { plainInstance } from "#tests/fixtures/catalog-requests.ts";
import { instanceWorld } from "#tests/worlds/instance-world.ts";

/** An instance that is ready, and the calls that a request makes to the table and the queue. */
async function countedWorld(options: Parameters<typeof instanceWorld>[0] = {}) {
  const calls: string[] = [];
  const fixture = await instanceWorld({
    ...options,
    wrap: (ports) => ({
      ...ports,
      table: countedPort("table", ports.table, calls),
      queue: countedPort("queue", ports.queue, calls),
    }),
  });
  /** Sent after the 30 s in which a key is not read again. */
  const during = async (method: string, path: string, body?: unknown) => {
    fixture.world.clock.advance(31_000);
    calls.length = 0;
    const { status } = await fixture.ask(method, path, body);
    expect(status).toBeLessThan(300);
    return [...calls];
  };
  return { ...fixture, during };
}

const keyRead = "table.get";
/** How many of the caller's wait for this pool, counted in the index. */
const line = "table.count";

test("create = key + the caller's waiting list + spec + head + one send + one batch read for its estimate", async () => {
  const { during } = await countedWorld();

  expect(await during("POST", "/api/instances", plainInstance)).toEqual([
    ...[keyRead, line, "table.put", "table.put", "queue.send", "table.getMany"],
  ]);
});

test("show = key + one read, and one plan item while it waits; list = key + one query and a batch read", async () => {
  const { during, id } = await countedWorld();
  const waiting = await countedWorld({ nodes: [] });

  expect(await during("GET", `/api/instances/${id}`)).toEqual([keyRead, "table.get"]);
  expect(await during("GET", "/api/instances")).toEqual([keyRead, "table.query", "table.getMany"]);
  expect(await waiting.during("GET", `/api/instances/${waiting.id}`)).toEqual([keyRead, "table.get", "table.getMany"]);
});

test("a heartbeat = key + two reads, and one write if it moves the last use", async () => {
  const { during, id } = await countedWorld();
  const path = `/api/instances/${id}/last-used`;
  const reads = [keyRead, "table.get", "table.get"];

  expect(await during("PUT", path)).toEqual([...reads, "table.put"]);
  expect(await during("PUT", path)).toEqual(reads);
});

test("stop = key + two reads + one write + one send; a repeated stop and a start of a running instance only read", async () => {
  const { during, id } = await countedWorld();

  expect(await during("POST", `/api/instances/${id}/start`)).toEqual([keyRead, "table.get", "table.get"]);
  expect(await during("POST", `/api/instances/${id}/stop`)).toEqual([
    keyRead,
    ...["table.get", "table.get", "table.put", "queue.send"],
  ]);
  expect(await during("POST", `/api/instances/${id}/stop`)).toEqual([keyRead, "table.get", "table.get"]);
});

test("metrics = key + two queries and a batch read, cache stats = key", async () => {
  const { during } = await countedWorld();

  expect(await during("GET", "/api/metrics")).toEqual([keyRead, "table.query", "table.query", "table.getMany"]);
  expect(await during("GET", "/api/cache/stats")).toEqual([keyRead]);
});
