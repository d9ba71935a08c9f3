import { describe, expect, test } from "vitest";
import { memoryIndex } from "#tests/fakes/memory-index.ts";
import { type MemoryWorld, memoryWorld, newActor, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { postMessage } from "../../chat/post.ts";
import { readMessage } from "../../chat/read.ts";
import { reservation } from "../../environments/record/policy.ts";
import { type Environment, waitingFields } from "../../environments/record/record.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { requestStart } from "../../environments/verbs/start.ts";
import { requestStop } from "../../environments/verbs/stop.ts";
import { environmentKey, keyText, poolKey } from "../../store/keys.ts";
import { readAdvice } from "../forecast/advice.ts";
import { planPools } from "./planner.ts";

const poolRequest = keyText(poolKey("h100"));
const MINUTE = 60_000;

/** Later than any test runs. */
const NEVER = 8_640_000_000_000_000;

/** Returns the nth copy of a waiting job, submitted n ms later and never due. */
function getCopy(template: Environment, n: number): Environment {
  const [uid, queuedAt] = [n.toString(16).padStart(32, "0"), template.queuedAt + 1 + n];
  const key = environmentKey(template.owner, "gpu-dev", `many-${n}`);
  const fields = {
    ...template,
    ...key,
    uid,
    spec: uid,
    queuedAt,
    createdAt: queuedAt,
    dueAt: NEVER,
  };
  return { ...fields, ...waitingFields({ ...fields }) };
}

async function fillLine(world: MemoryWorld, owner: string, count: number): Promise<void> {
  const template = await createEnvironment(world.as(owner), newEnvironment("template", { hours: 0.1 }));
  for (let n = 0; n < count; n++) await world.table.put(getCopy(template, n));
}

test("an owner's first job starts before the second of an owner with 2,100 waiting jobs", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings: { maxWaitingPerUser: 0 } });
  await createEnvironment(world.as("carol"), newEnvironment("now", { hours: 0.1 }));
  await world.deliver();
  await fillLine(world, "alice", 2_100);
  world.clock.advance(3_000);
  await createEnvironment(world.as("bob"), newEnvironment("first", { hours: 0.1 }));

  await world.advance(7 * MINUTE);
  await world.advance(7 * MINUTE);

  const started = (await viewPool(world.ctx, "h100"))?.tally?.waits.reduce((sum, wait) => sum + wait, 0);
  expect((await world.read("bob", "first")).phase).toBe("active");
  expect(started).toBe(3);
});

test("jobs beyond an owner's first 50 are not planned, say so, and cause no plans", async () => {
  const world = await memoryWorld({ nodes: [] });
  await fillLine(world, "alice", 2_100);
  await world.advance(5_000);
  const last = await world.read("alice", "many-2099");
  const before = (await viewPool(world.ctx, "h100"))?.plans;

  await planPools(world.ctx, [{ look: poolRequest, for: [keyText(last)] }]);

  const pool = await viewPool(world.ctx, "h100");
  expect(pool?.seen).toHaveLength(50);
  expect(pool?.summary).toMatchObject({ waiting: 2_000, waitingUnits: 16_000 });
  expect(pool?.plans).toBe(before);
  expect((await readAdvice(world.ctx, [last])).get(last.uid)).toEqual({
    place: undefined,
    farBack: true,
    lackingZones: [],
  });
});

test("cancelling a job far back in its owner's queue causes no plan", async () => {
  const world = await memoryWorld({ nodes: [] });
  await fillLine(world, "alice", 100);
  await world.advance(5_000);
  const before = (await viewPool(world.ctx, "h100"))?.plans;
  const { pk, sk } = await world.read("alice", "many-99");
  await requestCancel(world.as("alice"), "many-99");

  await planPools(world.ctx, [{ look: poolRequest, for: [keyText({ pk, sk })] }]);

  expect((await viewPool(world.ctx, "h100"))?.plans).toBe(before);
});

test("20,000 submits of one owner keep a plan, its reads and the ledger small", async () => {
  const world = await memoryWorld({ nodes: [] });
  const template = await createEnvironment(world.as("alice"), newEnvironment("template"));
  const bob = await createEnvironment(world.as("bob"), newEnvironment("first"));
  const index = memoryIndex("waiting", { clock: undefined, random: Math.random, latenessMs: 0 });
  for (let n = 0; n < 20_000; n++) {
    const key = environmentKey(newActor("alice").uid, "gpu-dev", `many-${n}`);
    const [uid, queuedAt] = [n.toString(16).padStart(32, "0"), template.queuedAt + n];
    const { owner, size } = template;
    const fields = { ...waitingFields({ size, owner, queuedAt, uid }), uid, owner, size };
    index.record(`${n}`, { ...key, writers: [], ...fields });
  }
  index.record("bob", bob as never);
  let served = 0;
  const query: typeof world.table.query = async (input) => {
    const page = "index" in input && input.index === "waiting" ? index.query(input) : await world.table.query(input);
    served += page.items.length;
    return page;
  };

  await planPools({ ...world.ctx, table: { ...world.table, query } }, [{ look: poolRequest }]);

  const pool = await viewPool(world.ctx, "h100");
  expect(served).toBeLessThanOrEqual(2_001);
  expect(pool?.seen).toHaveLength(51);
  expect(pool?.seen).toContain(bob.uid);
  expect(JSON.stringify(pool).length).toBeLessThan(5_000);
});

/** Returns what plans read and saw of these owners and their waiting jobs. */
async function plansOver(owners: number, each: number, plans: number) {
  const world = await memoryWorld({ nodes: [] });
  const { size, queuedAt } = await createEnvironment(world.as("alice"), newEnvironment("template"));
  const index = memoryIndex("waiting", { clock: undefined, random: Math.random, latenessMs: 0 });
  for (let n = 0; n < owners * each; n++) {
    const [uid, owner] = [n.toString(16).padStart(32, "0"), (n % owners).toString(16).padStart(32, "0")];
    const fields = { ...waitingFields({ size, owner, queuedAt: queuedAt + n, uid }), uid, owner, size };
    index.record(`${n}`, { ...environmentKey(owner, "gpu-dev", `many-${n}`), writers: [], ...fields });
  }
  const ownersSeen = new Set<number>();
  const reads: number[] = [];
  const query: typeof world.table.query = async (input) => {
    const page = "index" in input && input.index === "waiting" ? index.query(input) : await world.table.query(input);
    reads[reads.length - 1] = (reads.at(-1) ?? 0) + page.items.length;
    return page;
  };
  for (let n = 0; n < plans; n++) {
    reads.push(0);
    world.clock.advance(MINUTE);
    await planPools({ ...world.ctx, table: { ...world.table, query } }, [{ look: poolRequest }]);
    for (const uid of (await viewPool(world.ctx, "h100"))?.seen ?? [])
      ownersSeen.add(Number.parseInt(uid, 16) % owners);
  }
  return { most: Math.max(...reads), ownersSeen: ownersSeen.size, pool: await viewPool(world.ctx, "h100") };
}

test("a plan reads a small part of 30,000 waiting jobs of 3,000 owners, and stays small", async () => {
  const { most, ownersSeen, pool } = await plansOver(3_000, 10, 2);

  expect(ownersSeen).toBe(400);

  expect(most).toBeLessThanOrEqual(4_200);
  expect(Buffer.byteLength(JSON.stringify(pool))).toBeLessThan(400 * 1024);
});

test("each owner gets a turn after some plans if more owners wait than one plan reads", async () => {
  expect((await plansOver(1_000, 3, 5)).ownersSeen).toBe(1_000);
});

test("one owner's jobs fill all free units after some plans", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 15 }) });
  for (let n = 0; n < 120; n++) await createEnvironment(world.as("alice"), newEnvironment(`one-${n}`, { gpus: 1 }));

  await world.advance(20_000);

  expect((await viewPool(world.ctx, "h100"))?.held).toHaveLength(120);
});

test("refuses a submit above the limit and leaves nothing; other pools and users are unaffected", async () => {
  const world = await memoryWorld({ nodes: [], settings: { maxWaitingPerUser: 3 } });
  for (const id of ["one", "two", "three"]) await createEnvironment(world.as("alice"), newEnvironment(id));
  const before = world.table.all().length;

  const refused = createEnvironment(world.as("alice"), newEnvironment("four", { disk: "data" }));

  await expect(refused).rejects.toMatchObject({
    kind: "quota",
    message: "You have 3 jobs waiting, at most 3 may wait",
  });
  expect(world.table.all()).toHaveLength(before);
  await createEnvironment(world.as("alice"), newEnvironment("other", { pool: "a100" }));
  await createEnvironment(world.as("bob"), newEnvironment("one"));
  await requestCancel(world.as("alice"), "two");
  await world.deliver();
  await createEnvironment(world.as("alice"), newEnvironment("four"));
});

test("a repeated create finds its environment although the queue is full by then", async () => {
  const world = await memoryWorld({ nodes: [], settings: { maxWaitingPerUser: 1 } });
  const made = await createEnvironment(world.as("alice"), newEnvironment("one"));

  const again = await createEnvironment(world.as("alice"), { ...newEnvironment("one"), uid: made.uid, isRepeat: true });

  expect(again.uid).toBe(made.uid);
});

test("a limit of 0 means no limit, and reads nothing from the table", async () => {
  const world = await memoryWorld({ nodes: [], settings: { maxWaitingPerUser: 0 } });
  const alice = world.as("alice");
  const query = async () => Promise.reject(new Error("asked"));

  const made = await createEnvironment({ ...alice, table: { ...alice.table, query } }, newEnvironment("one"));

  expect(made.phase).toBe("queued");
});

describe("a start into a full queue", () => {
  async function fullLine() {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings: { maxWaitingPerUser: 2 } });
    const alice = world.as("alice");
    const policy = { ...reservation, time: "none", restarts: true } as const;
    await createEnvironment(alice, { ...newEnvironment("one"), policy, ports: [{ port: 8080, kind: "http" }] });
    await world.advance(10_000);
    await requestStop(alice, "one");
    await world.advance(60_000);
    for (const id of ["runs", "waits", "waits-too"]) {
      await createEnvironment(alice, newEnvironment(id));
      await world.advance(5_000);
    }
    return { world, alice };
  }

  test("is refused and changes nothing, but is accepted in other pools and when there is room", async () => {
    const { world, alice } = await fullLine();
    const before = world.table.all();

    const refused = requestStart(alice, "one", { env: { TOKEN: "other" } });

    await expect(refused).rejects.toMatchObject({
      kind: "quota",
      message: "You have 2 jobs waiting, at most 2 may wait",
    });
    expect(world.table.all()).toEqual(before);
    const { size } = newEnvironment("other", { pool: "a100" });
    expect((await requestStart(alice, "one", { size })).phase).toBe("queued");
  });

  test("keeps messages to the environment until there is room", async () => {
    const { world, alice } = await fullLine();

    const { n, uid } = await postMessage(alice, "one", "hello");
    await world.advance(60_000);
    const asleep = await world.read("alice", "one");
    await requestCancel(alice, "waits");
    await requestCancel(alice, "runs");
    await requestCancel(alice, "waits-too");
    await world.advance(6 * 60_000);

    expect(asleep.phase).toBe("stopped");
    expect(await readMessage(alice, uid, n)).toMatchObject({ state: "delivered" });
  });
});
