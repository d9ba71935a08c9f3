import { expect, test } from "vitest";
import type { Environment } from "#core/environments/record/record.ts";
import { addCollaborator, requestCancel, requestExtension, requestKey } from "#core/environments/verbs/actions.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { userKey } from "#core/store/keys.ts";
import { memoryTable } from "#tests/fakes/memory-table.ts";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { type News, tableWithNews } from "./activity-log.ts";
import type { Waits } from "./queue-activity.ts";

const HOUR = 3_600_000;
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKyIfIKesG74ewOtTC3tBQqxMFN0b59wd+tI//HxmJ0E";

/** Resolves after the name of the owner was read, which each event waits for. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

const nobodyWaits: Waits = { saw: () => undefined, newsAfter: () => undefined };

/** Writes the record of `one` as the world has it now into a table that tells. */
async function watched(world: MemoryWorld, since = 0) {
  const news: News[] = [];
  const table = tableWithNews(memoryTable(), since, nobodyWaits, (each) => news.push(each));
  const poll = async () => {
    await table.put(await world.read("alice", "one"));
    await settled();
  };
  return { news, look: poll, words: () => news.map(({ words }) => words) };
}

test("reports the events of an environment once and in order", async () => {
  const world = await memoryWorld();
  const { news, look: poll, words } = await watched(world);

  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await poll();
  await world.deliver();
  await poll();
  await poll();
  await requestCancel(world.as("alice"), "one");
  await world.advance(60_000);
  await poll();

  expect(words()).toEqual([
    "queued: 8 h100 of p5.48xlarge",
    expect.stringMatching(/^preparing: Capacity granted on h100-\d$/),
    expect.stringMatching(/^active until (\w+ \d+ )?\d\d:\d\d$/),
    expect.stringMatching(/^stopping: Cancelled/),
    "cancelled",
  ]);
  expect(new Set(news.map(({ name }) => name)).size).toBe(1);
  expect(news[2]?.tone).toBe("good");
});

test("reports a request when it is done or failed, and a warning without its phase", async () => {
  const world = await memoryWorld();
  const { look: poll, words } = await watched(world);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();
  await poll();
  const before = words().length;

  await requestExtension(world.as("alice"), "one", HOUR);
  await addCollaborator(world.as("alice"), "one", "nobody", () => "active");
  await world.advance(3_000);
  await poll();
  await world.advance(1.75 * HOUR);
  await poll();

  expect(words().slice(before)).toEqual([
    expect.stringMatching(/^extended until /),
    "adding a user failed: GitHub user 'nobody' not found",
    "Expires in 30 minutes",
    "Expires in 15 minutes",
  ]);
});

test("shows an admitted key without a name, and reports no extension of an ending environment", async () => {
  const world = await memoryWorld();
  const { look: poll, words } = await watched(world);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();
  await requestKey(world.as("alice"), "one", KEY, () => "active");
  await world.advance(3_000);
  await poll();
  const before = words().length;

  await requestExtension(world.as("alice"), "one", HOUR);
  await requestCancel(world.as("alice"), "one");
  await world.advance(60_000);
  await poll();

  expect(words().at(before - 1)).toBe("admitted by SSH: a public key");
  expect(words().slice(before)).toEqual(["stopping: Cancelled by its owner", "cancelled"]);
});

test("reports the reason of a failure", async () => {
  const world = await memoryWorld();
  const { news, look: poll } = await watched(world);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();
  const { uid, run } = await world.read("alice", "one");
  world.compute.kill(uid, run.n);
  await world.advance(60_000);

  await poll();

  expect(news.at(-1)).toMatchObject({ words: expect.stringMatching(/^failed: (?!Everything)\S/), tone: "bad" });
});

test("skips events before the start", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();
  await requestExtension(world.as("alice"), "one", HOUR);
  await world.advance(5_000);
  const { look: poll, words } = await watched(world, world.clock.now());

  await poll();
  const atStart = words();
  await requestCancel(world.as("alice"), "one");
  await world.advance(60_000);
  await poll();

  expect(atStart).toEqual([]);
  expect(words()).toEqual([expect.stringMatching(/^stopping/), expect.stringMatching(/^cancelled/)]);
});

test.each([
  ["9e41c7d3-5b00-4c1a-8000-0123456789ab", "my-train", "9e41c7d3"],
  ["9e41c7d3-5b00-4c1a-8000-0123456789ab", "gpu-dev-9e41c7d3", "9e41c7d3"],
  ["inst_0123456789ab", "my-instance", "inst_0123456789ab"],
  ["ws-a-b-1795278714", "ws-a-b-1795278714", "ws-a-b-1795278714"],
])("the id %s of an environment named %s is shown as %j", async (id, name, shown) => {
  const { record, news, table } = await quietTable();

  await table.put({ ...record, id, name } as never);
  await settled();

  expect(news.map((each) => each.id)).toEqual([shown]);
});

test("reports neither a refused write nor a record of another kind", async () => {
  const { record, news, table } = await quietTable();

  const refused = table.put(record, { ifWriter: "somebody" });

  await expect(refused).rejects.toThrow();
  await table.put({ ...record, pk: "pool#h100" });
  await table.put({ ...record, phase: 7 } as never);
  await settled();
  expect(news).toEqual([]);
});

test("reports an environment written in a batch, with the name of its owner", async () => {
  const { record, news, table } = await quietTable();
  const user = { kind: "user", uid: record.owner, number: 1, username: "alice", disabled: false, keys: [] };
  const rest = { revoking: [], attempts: 0, dueShard: "0", format: record.format, writers: ["w"] };
  await table.put({ ...userKey(record.owner), ...user, ...rest } as never);

  await table.putAll([{ item: record, ifWriter: null }]);
  await settled();

  expect(news.map(({ name }) => name)).toEqual([`alice/${record.name}`]);
});

/** The record of an environment, and a table that does not have it yet. */
async function quietTable() {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  const news: News[] = [];
  const table = tableWithNews(memoryTable(), 0, nobodyWaits, (each) => news.push(each));
  const record = (await world.read("alice", "one")) as Environment & { readonly format: number };
  return { record, news, table };
}
