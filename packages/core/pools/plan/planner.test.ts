import { expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewForecast, viewPool } from "#tests/worlds/pool-view.ts";
import { reservation } from "../../environments/record/policy.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { requestDelete } from "../../environments/verbs/delete.ts";
import { requestStart } from "../../environments/verbs/start.ts";
import { requestStop } from "../../environments/verbs/stop.ts";
import type { ReconcileRequest } from "../../ports/queue.ts";
import type { Item, Stored, Table } from "../../ports/table.ts";
import { keyText, planKey, poolKey } from "../../store/keys.ts";
import { refreshCapacity } from "../capacity/capacity.ts";
import { readAdvice } from "../forecast/advice.ts";
import { planPools } from "./planner.ts";

const poolRequest = keyText(poolKey("h100"));

test("plans an environment that the index does not show yet because the message names it", async () => {
  const world = await memoryWorld();
  const query: Table["query"] = async (input) => ("index" in input ? { items: [] } : world.table.query(input));
  const blind = { ...world.ctx, table: { ...world.table, query } };
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));

  await planPools(blind, [{ look: poolRequest, for: [keyText(environment)] }]);

  const pool = await viewPool(world.ctx, "h100");
  expect(pool?.granted.map((grant) => grant.uid)).toEqual([environment.uid]);
});

test("grants nothing to an environment that the index still shows once its record has ended", async () => {
  const world = await memoryWorld();
  const stale = await world.table.query({ index: "waiting", partition: "h100" });
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  const shown = await world.table.query({ index: "waiting", partition: "h100" });
  await requestCancel(world.as("alice"), "one");
  const query: Table["query"] = async (input) => ("index" in input ? shown : world.table.query(input));
  const late = { ...world.ctx, table: { ...world.table, query } };
  world.clock.advance(61_000);

  await planPools(late, [{ look: poolRequest }]);

  const pool = await viewPool(world.ctx, "h100");
  expect(stale.items).toEqual([]);
  expect(shown.items.map((item) => item.uid)).toEqual([environment.uid]);
  expect(pool?.granted).toEqual([]);
});

test("an environment stopped before it took its grant is granted again as soon as it restarts", async () => {
  const world = await memoryWorld();
  const alice = world.as("alice");
  const policy = { ...reservation, time: "none", restarts: true } as const;
  const environment = await createEnvironment(alice, { ...newEnvironment("one"), policy });
  const message = { look: poolRequest, for: [keyText(environment)] };
  await planPools(world.ctx, [message]);
  await requestStop(alice, "one");
  await requestStart(alice, "one");

  await planPools(world.ctx, [message]);

  const granted = (await viewPool(world.ctx, "h100"))?.granted.map(({ uid, run }) => [uid, run]);
  expect(granted).toEqual([[environment.uid, 2]]);
});

test("an environment restarted with a smaller size before the plan is granted that size at once", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const bob = world.as("bob");
  const policy = { ...reservation, time: "none", restarts: true } as const;
  await createEnvironment(world.as("alice"), newEnvironment("runs", { gpus: 4 }));
  await world.advance(1000);
  const environment = await createEnvironment(bob, { ...newEnvironment("one", { gpus: 8 }), policy });
  await world.advance(10_000);
  await requestStop(bob, "one");
  await requestStart(bob, "one", { size: newEnvironment("one", { gpus: 4 }).size });

  await planPools(world.ctx, [{ look: poolRequest, for: [keyText(environment)] }]);

  const granted = (await viewPool(world.ctx, "h100"))?.granted.map(({ uid, size }) => [uid, size.units]);
  expect(granted).toEqual([[environment.uid, 4]]);
});

test.each([
  ["with more units gets all of them", { gpus: 8 }, [[{ node: "h100-1", units: 8 }]]],
  ["in another pool gets nothing in its earlier pool", { gpus: 8, pool: "a100" }, []],
])("an environment restarted %s while the index shows the start before", async (_, input, granted) => {
  const world = await memoryWorld({ nodes: [] });
  const alice = world.as("alice");
  const policy = { ...reservation, time: "none", restarts: true } as const;
  await createEnvironment(alice, { ...newEnvironment("one", { gpus: 1 }), policy });
  const shown = await world.table.query({ index: "waiting", partition: "h100" });
  await requestStop(alice, "one");
  await world.advance(5_000);
  await requestStart(alice, "one", { size: newEnvironment("one", input).size });
  for (const { id } of world.queue.receive("pools", 10)) world.queue.acknowledge("pools", id);
  for (const node of newNodes({ h100: 1 })) world.compute.setNode(node);
  await refreshCapacity(world.ctx);
  const query: Table["query"] = async (query) =>
    "index" in query && query.index === "waiting" ? shown : world.table.query(query);

  world.clock.advance(61_000);
  await planPools({ ...world.ctx, table: { ...world.table, query } }, [{ look: poolRequest }]);

  expect(shown.items).toHaveLength(1);
  expect((await viewPool(world.ctx, "h100"))?.granted.map(({ shares }) => shares)).toEqual(granted);
});

test("a stale index entry is granted nothing once its id has a new environment, which is granted once", async () => {
  const world = await memoryWorld();
  const alice = { ...world.as("alice"), dialect: "session-manager", noun: "session" };
  const session = { ...newEnvironment("s-1"), policy: { ...reservation, time: "none", restarts: true } as const };
  const deaf = { ...alice, queue: { ...world.queue, send: async () => {} } };
  const first = await createEnvironment(deaf, session);
  const shown = await world.table.query({ index: "waiting", partition: "h100" });
  await requestDelete(alice, "s-1");
  await world.advance(60_000);
  const second = await createEnvironment(deaf, session);
  const query: Table["query"] = async (input) => ("index" in input ? shown : world.table.query(input));
  const late = { ...world.ctx, queue: deaf.queue, table: { ...world.table, query } };
  const granted = async () => (await viewPool(world.ctx, "h100"))?.granted.map(({ uid }) => uid);
  world.clock.advance(61_000);

  await planPools(late, [{ look: poolRequest }]);
  const unnamed = await granted();
  await planPools(late, [{ look: poolRequest, for: [keyText(second)] }]);

  expect(shown.items.map(({ uid, pk, sk }) => [uid, keyText({ pk, sk })])).toEqual([[first.uid, keyText(second)]]);
  expect(unnamed).toEqual([]);
  expect(await granted()).toEqual([second.uid]);
});

test("a message that names only known environments makes no plan", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  const second = await createEnvironment(world.as("bob"), newEnvironment("two"));
  await world.deliver();
  const before = (await viewPool(world.ctx, "h100"))?.plans;

  await planPools(world.ctx, [{ look: poolRequest, for: [keyText(second)] }]);

  expect((await viewPool(world.ctx, "h100"))?.plans).toBe(before);
});

test("many submits in one batch make one plan", async () => {
  const world = await memoryWorld({ nodes: [] });
  const messages = [];
  for (let n = 0; n < 50; n++) {
    const environment = await createEnvironment(world.as("alice"), newEnvironment(`job-${n}`));
    messages.push({ look: poolRequest, for: [keyText(environment)] });
  }

  await planPools(world.ctx, messages);

  expect(await viewPool(world.ctx, "h100")).toMatchObject({ plans: 1, summary: { waiting: 50, waitingUnits: 400 } });
});

test("a pool whose plan fails blocks no other pool of its batch, and is retried alone", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ nodes: newNodes({ h100: 1, t4: 1 }), log });
  const job = await createEnvironment(world.as("alice"), newEnvironment("one"));
  const query: Table["query"] = async (input) => {
    if ("pk" in input && input.pk.startsWith("pool#t4#")) throw new Error("cannot be read now");
    return world.table.query(input);
  };
  world.clock.advance(61_000);
  const bad = { look: keyText(poolKey("t4")) };

  const again = await planPools({ ...world.ctx, table: { ...world.table, query } }, [
    bad,
    { look: poolRequest, for: [keyText(job)] },
  ]);

  expect(again).toEqual([bad]);
  expect(log.lines.filter(({ event }) => event === "look failed")).toMatchObject([
    { level: "error", fields: { look: bad.look, error: expect.stringContaining("cannot be read now") } },
  ]);
  expect((await viewPool(world.ctx, "h100"))?.granted.map(({ uid }) => uid)).toEqual([job.uid]);
});

test("a slow batch returns the pools that it did not start, with all of their messages", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1, t4: 1 }) });
  const job = await createEnvironment(world.as("alice"), newEnvironment("one"));
  const query: Table["query"] = async (input) => {
    if ("pk" in input && input.pk.startsWith("pool#t4#")) world.clock.advance(6_000);
    return world.table.query(input);
  };
  world.clock.advance(61_000);
  const [slow, behind, named] = [
    { look: keyText(poolKey("t4")) },
    { look: poolRequest },
    { look: poolRequest, for: [keyText(job)] },
  ];

  const left = await planPools({ ...world.ctx, table: { ...world.table, query } }, [slow, behind, slow, named]);
  const granted = (await viewPool(world.ctx, "h100"))?.granted;
  const after = await planPools(world.ctx, left);

  expect(left).toEqual([behind, named]);
  expect(granted).toEqual([]);
  expect(after).toEqual([]);
  expect((await viewPool(world.ctx, "h100"))?.granted.map(({ uid }) => uid)).toEqual([job.uid]);
});

test("a plan by a clock that was ahead delays no later plan", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();
  const [second, third] = [
    await createEnvironment(world.as("bob"), newEnvironment("two")),
    await createEnvironment(world.as("carol"), newEnvironment("three")),
  ];
  const clock = { ...world.ctx.clock, now: () => world.clock.now() + 3_600_000 };
  await planPools({ ...world.ctx, clock }, [{ look: poolRequest, for: [keyText(second)] }]);

  await planPools(world.ctx, [{ look: poolRequest, for: [keyText(third)] }]);

  const pool = await viewPool(world.ctx, "h100");
  expect(pool?.seen).toContain(third.uid);
  expect((pool?.dueAt ?? 0) - world.clock.now()).toBeLessThanOrEqual(60_000);
  expect(pool?.advisedAt).toBe(world.clock.now());
});

test("plans a pool that a fast clock postponed by an hour", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const first = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();
  const clock = { ...world.ctx.clock, now: () => world.clock.now() + 3_600_000 };
  const deaf = { ...world.queue, send: async () => {} };
  await requestCancel(world.as("alice"), "one");
  await planPools({ ...world.ctx, clock, queue: deaf }, [{ look: poolRequest, for: [keyText(first)] }]);
  const before = await viewPool(world.ctx, "h100");

  await planPools(world.ctx, [{ look: poolRequest }]);

  const after = await viewPool(world.ctx, "h100");
  expect((before?.dueAt ?? 0) - world.clock.now()).toBeGreaterThan(3_600_000);
  expect((after?.plans ?? 0) - (before?.plans ?? 0)).toBe(1);
  expect((after?.dueAt ?? 0) - world.clock.now()).toBeLessThanOrEqual(60_000);
});

test("a slightly early message for a pool is sent again, even if it was merged with one that names environments", async () => {
  const world = await memoryWorld();
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(60_000);
  const due = { ...(await world.table.get(poolKey("h100"))), dueAt: world.clock.now() + 1_500 };
  await world.table.put(due as unknown as Stored);
  const sent: unknown[] = [];
  const send: typeof world.queue.send = async (_, message, options) => void sent.push([message, options]);
  const ctx = { ...world.ctx, queue: { ...world.queue, send } };
  const naming = { look: poolRequest, for: [keyText(environment)] };

  await planPools(ctx, [naming]);
  await planPools(ctx, [{ look: poolRequest }, naming]);

  expect(sent).toEqual([[{ look: poolRequest }, { delaySeconds: 1 }]]);
});

test("a grant whose message was lost is announced again, and taken", async () => {
  const world = await memoryWorld();
  const deaf = { ...world.ctx, queue: { ...world.queue, send: async () => {} } };
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await planPools(deaf, [{ look: poolRequest, for: [keyText(environment)] }]);
  for (const message of world.queue.receive("pools", 10)) world.queue.acknowledge("pools", message.id);

  await world.advance(70_000);

  expect((await world.read("alice", "one")).phase).toBe("active");
});

test("announces an open grant after 4 s, at each doubling of its age, and each minute, however often it plans", async () => {
  const world = await memoryWorld();
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await planPools(world.ctx, [{ look: poolRequest }]);
  world.clock.advance(1_000);
  const begun = world.clock.now();
  const announced: number[] = [];
  const send: typeof world.queue.send = async (_, { look: recordKey }) => {
    if (recordKey === keyText(environment)) announced.push((world.clock.now() - begun) / 1000);
  };
  const deaf = { ...world.ctx, queue: { ...world.queue, send } };
  await planPools(deaf, [{ look: poolRequest, for: [keyText(environment)] }]);

  for (let second = 1; second <= 190; second++) {
    world.clock.advance(1_000);
    const due = { ...(await world.table.get(poolKey("h100"))), dueAt: world.clock.now() };
    await world.table.put(due as unknown as Stored);
    await planPools(deaf, [{ look: poolRequest }]);
  }

  expect(announced).toEqual([0, 4, 8, 16, 32, 60, 120, 180]);
});

test("waiting jobs read their place, start and reason from the plan", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("one", { hours: 2 }));
  await world.deliver();
  await createEnvironment(world.as("bob"), newEnvironment("two"));
  await world.deliver();

  await world.advance(3000);

  const two = await world.read("bob", "two");
  const answer = (await readAdvice(world.ctx, [two])).get(two.uid);
  const environment = await world.read("alice", "one");
  expect(answer?.place).toMatchObject({
    position: 1,
    code: "short",
    needed: 8,
    available: 0,
    startsAt: environment.times.endsAt,
  });
});

test("the first waiting job is notified at once, the next within two seconds", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();

  await createEnvironment(world.as("bob"), newEnvironment("two"));
  await world.deliver();
  await createEnvironment(world.as("carol"), newEnvironment("three"));
  await world.advance(2000);

  for (const [owner, id] of [
    ["bob", "two"],
    ["carol", "three"],
  ] as const) {
    const environment = await world.read(owner, id);
    expect((await readAdvice(world.ctx, [environment])).get(environment.uid)?.place, id).toBeDefined();
  }
});

test("postpones and marks an unreadable ledger, and plans the others", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1, a100: 1 }) });
  await world.table.put({ ...poolKey("h100"), writers: ["w1"], kind: "nonsense", dueAt: 0, dueShard: "0" } as never);
  await createEnvironment(world.as("alice"), newEnvironment("one"));

  await createEnvironment(world.as("alice"), newEnvironment("two", { pool: "a100" }));
  await world.advance(15_000);

  const item = await world.table.get(poolKey("h100"));
  expect(item).toMatchObject({ kind: "nonsense", poisoned: true });
  expect((await world.read("alice", "two")).phase).toBe("active");
  const waits = await world.read("alice", "one");
  expect(waits).toMatchObject({
    phase: "queued",
    fault: "The pool record pool#h100|- cannot be read: its kind is nonsense",
  });
  expect(waits).not.toHaveProperty("poisoned");
});

test("wipes the places of jobs that no longer wait", async () => {
  const world = await memoryWorld({ nodes: [] });
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();
  const key = planKey("h100", environment.uid.slice(0, 1));
  expect((await world.table.get(key))?.entries).toHaveProperty(environment.uid);

  await requestCancel(world.as("alice"), "one");
  await world.advance(5000);

  expect((await world.table.get(key))?.entries).toEqual({});
});

test("grants a machine that was set aside as soon as its time is over, not at the next minute", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const bad = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(bad.uid, { kind: "neverBinds", reason: "0/1 nodes are available" });
  await world.advance(90_000);
  await requestCancel(world.as("alice"), "one");
  // Not a full minute after the machine was set aside, when the pool plans anyway.
  await world.advance(47_000);
  await createEnvironment(world.as("bob"), newEnvironment("two"));
  await world.deliver();
  const until = (await viewPool(world.ctx, "h100"))?.setAside[0]?.until ?? 0;
  expect((await world.read("bob", "two")).phase).toBe("queued");

  await world.advance(until - world.clock.now() + 3_000);

  expect((await world.read("bob", "two")).phase).not.toBe("queued");
});

/** Returns a world whose only machine became free right after the forecast. */
async function worldJustFree() {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(60_000);
  await requestCancel(world.as("alice"), "one");
  for (let s = 0; s < 120 && (await viewForecast(world.ctx, "h100"))?.freeUnits !== 8; s++) await world.advance(1_000);
  return world;
}

test("a grant while the forecast is fresh is in the next one, ten seconds later", async () => {
  const world = await worldJustFree();
  const before = await viewForecast(world.ctx, "h100");
  await createEnvironment(world.as("bob"), newEnvironment("two"));
  await world.advance(10_000);
  const after = await viewForecast(world.ctx, "h100");

  expect([before, after]).toMatchObject([{ freeUnits: 8 }, { freeUnits: 0 }]);
});

test("a job that arrives or leaves while the forecast is fresh is in the next one", async () => {
  const world = await worldJustFree();
  for (const id of ["two", "three"]) await createEnvironment(world.as("bob"), newEnvironment(id));
  await world.advance(10_000);
  const came = await viewForecast(world.ctx, "h100");
  await createEnvironment(world.as("carol"), newEnvironment("four"));
  await requestCancel(world.as("bob"), "three");
  await world.advance(10_000);
  const swapped = await viewForecast(world.ctx, "h100");
  await requestCancel(world.as("carol"), "four");
  await world.advance(10_000);
  const left = await viewForecast(world.ctx, "h100");

  const owners = [came, swapped, left].map((standing) => Object.values(standing?.owners ?? {}));
  expect(owners).toEqual([[16], [8, 8], [8]]);
});

test.each([
  ["no job waits", ["two"]],
  ["the same job waits", ["two", "three"]],
])("plans a pool where %s once a minute, whatever its forecast", async (_, ids) => {
  const world = await worldJustFree();
  for (const id of ids) await createEnvironment(world.as("bob"), newEnvironment(id, { hours: 4 }));
  await world.advance(60_000);
  const before = (await viewPool(world.ctx, "h100"))?.plans ?? 0;

  await world.advance(10 * 60_000);

  expect(((await viewPool(world.ctx, "h100"))?.plans ?? 0) - before).toBe(10);
});

test("no grant of a batch waits for a forecast, not even for that of another pool", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1, a100: 1 }) });
  world.clock.advance(60_000);
  const order: string[] = [];
  const messages: ReconcileRequest[] = [];
  for (const pool of ["h100", "a100"]) {
    const environment = await createEnvironment(world.as("alice"), newEnvironment(`first-${pool}`, { pool }));
    messages.push({ look: keyText(poolKey(pool)), for: [keyText(environment)] });
  }
  const { table } = world.ctx;
  const put: Table["put"] = async (item, options) => {
    order.push(String((item as Item).kind));
    return table.put(item, options);
  };

  await planPools({ ...world.ctx, table: { ...table, put } }, messages);

  expect(order.filter((kind) => kind === "pool")).toHaveLength(2);
  expect(order.indexOf("forecast")).toBeGreaterThan(order.lastIndexOf("pool"));
});

test("a job whose grant the store refused comes before later jobs in the next plan", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const first = await createEnvironment(world.as("alice"), newEnvironment("one"));
  const second = await createEnvironment(world.as("bob"), newEnvironment("two"));
  const put: Table["put"] = async (item, options) => {
    if ("kind" in item && item.kind === "node") throw new Error("Throttled");
    return world.table.put(item, options);
  };
  const message = { look: poolRequest, for: [keyText(first), keyText(second)] };

  await planPools({ ...world.ctx, table: { ...world.table, put } }, [message]);

  const refused = await viewPool(world.ctx, "h100");
  expect([refused?.granted, refused?.head?.uid]).toEqual([[], first.uid]);

  await planPools(world.ctx, [message]);

  const written = await viewPool(world.ctx, "h100");
  expect([written?.granted.map(({ uid }) => uid), written?.head?.uid]).toEqual([[first.uid], second.uid]);
});

test("a job with the reserved start keeps it although the store refuses the grant of a job behind it", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const small = { gpus: 4, hours: 2 };
  await createEnvironment(world.as("alice"), newEnvironment("runs", small));
  await world.advance(10_000);
  const head = await createEnvironment(world.as("bob"), newEnvironment("large"));
  const behind = await createEnvironment(world.as("carol"), newEnvironment("short", { gpus: 4 }));
  const put: Table["put"] = async (item, options) => {
    if ("kind" in item && item.kind === "node") throw new Error("Throttled");
    return world.table.put(item, options);
  };

  const message = { look: poolRequest, for: [keyText(head), keyText(behind)] };
  await planPools({ ...world.ctx, table: { ...world.table, put } }, [message]);
  const refused = await viewPool(world.ctx, "h100");
  expect([refused?.granted, refused?.head?.uid]).toEqual([[], head.uid]);

  await planPools(world.ctx, [message]);
  const written = await viewPool(world.ctx, "h100");
  expect([written?.granted.map(({ uid }) => uid), written?.head?.uid]).toEqual([[behind.uid], head.uid]);
});

test("a pool whose type is no more is left out once, until a message names it again", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ log });
  const head = { ...poolKey("l40s"), kind: "pool", format: 1, writers: [], dueShard: "0", dueAt: world.clock.now() };
  await world.table.put(head as Item, { ifWriter: null });
  const message = { look: keyText(poolKey("l40s")) };

  await planPools(world.ctx, [message]);
  await planPools(world.ctx, [message]);

  expect((await world.table.get(poolKey("l40s")))?.dueAt).toBeUndefined();
  expect(log.lines.filter(({ level }) => level !== "info")).toMatchObject([
    { level: "warn", event: "pool without a type left out", fields: { look: message.look } },
  ]);
});
