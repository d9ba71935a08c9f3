import { expect, test } from "vitest";
import { countedPort } from "#tests/faults/counted-ports.ts";
import { newWorkspace } from "#tests/fixtures/catalog-requests.ts";
import { workspaceId, workspaceWorld } from "#tests/worlds/workspace-world.ts";

const path = "/api/v1/environments";
const body = newWorkspace(workspaceId);
const keyRead = "table.get";
/** How many of the caller's wait for this pool, counted in the index. */
const line = "table.count";
const tableGet = "table.get";

/** A world that records the calls of endpoints, and in which the first reconcile after a request does everything. */
async function countedWorld() {
  const calls: string[] = [];
  const world = await workspaceWorld({
    wrap: (ports) => ({
      ...ports,
      table: countedPort("table", ports.table, calls),
      queue: countedPort("queue", ports.queue, calls),
    }),
  });
  const during = async (method: string, at: string, sent?: unknown) => {
    world.clock.advance(31_000);
    calls.length = 0;
    const { status } = await world.ask(method, at, sent);
    expect(status).toBeLessThan(300);
    return [...calls];
  };
  return { world, during };
}

test("create = key + the caller's waiting list + host label + spec + head + one send, and the reconciles while it waits", async () => {
  const { during } = await countedWorld();

  expect(await during("POST", path, body)).toEqual([
    ...[keyRead, line, "table.put", "table.put", "table.put", "queue.send"],
    ...[tableGet, tableGet],
  ]);
});

test("stop = key + two reads + one write + one send, and the reconciles", async () => {
  const { world, during } = await countedWorld();
  await world.create();

  expect(await during("POST", `${path}/stop`, body)).toEqual([
    ...[keyRead, "table.get", "table.get", "table.put", "queue.send"],
    ...[tableGet, tableGet],
  ]);
});

test("start = key + two reads + the caller's waiting list + spec + head + a send to it and one to its pool, and the reconciles", async () => {
  const { world, during } = await countedWorld();
  await world.create();
  await world.stop();

  expect(await during("POST", `${path}/start`, body)).toEqual([
    ...[keyRead, "table.get", "table.get", line, "table.put", "table.put", "queue.send", "queue.send"],
    ...[tableGet, tableGet],
  ]);
});

test("delete = key + two reads + one write + one send, and the looks", async () => {
  const { world, during } = await countedWorld();
  await world.create();

  expect(await during("DELETE", path, { ...body, force: true })).toEqual([
    ...[keyRead, "table.get", "table.get", "table.put", "queue.send"],
    ...[tableGet, tableGet],
  ]);
});

test("activity = key + two reads, and one write if it moves the last use by more than a minute", async () => {
  const { world, during } = await countedWorld();
  await world.create();
  const at = `${path}/${workspaceId}/activity`;

  expect(await during("POST", at)).toEqual([keyRead, "table.get", "table.get", "table.put"]);
  expect(await during("POST", at)).toEqual([keyRead, "table.get", "table.get"]);
});

test("get = key + one read, list = key + one query and a batch read", async () => {
  const { world, during } = await countedWorld();
  await world.create();

  expect(await during("GET", `${path}/${workspaceId}`)).toEqual([keyRead, "table.get"]);
  expect(await during("GET", path)).toEqual([keyRead, "table.query", "table.getMany"]);
});
