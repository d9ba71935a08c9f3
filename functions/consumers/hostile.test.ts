import fc from "fast-check";
import { expect, test } from "vitest";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import type { Item } from "#core/ports/table.ts";
import { HOUR_MS } from "#core/units.ts";
import { consume } from "#http/work.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { consumer as plan } from "./plan.ts";
import { consumer as look } from "./reconcile.ts";

/** One job that is active, one that is granted nothing yet, and what their keys are. */
async function busyWorld() {
  const log = recordingLog();
  const world = await memoryWorld({ log });
  await createEnvironment(world.as("alice"), newEnvironment("active"));
  await world.advance(3_000);
  await createEnvironment(world.as("alice"), newEnvironment("waiting", { gpus: 16 }));
  await world.advance(3_000);
  return { ...world, log };
}

const keys = (world: MemoryWorld) => world.table.all().map(({ pk, sk }) => `${pk}|${sk}`);
const knownNames = keys(await busyWorld());
const key = fc.oneof(
  fc.constantFrom(...knownNames),
  fc.string({ unit: "binary" }),
  fc.constantFrom("pool#|-", "pool#nonsense|-", "pool#__proto__|-", "user#x|-", "owner#a#env#b|c", "counter#user|-"),
  fc.tuple(fc.constantFrom("pool#", "user#", "owner#a#env#", "key#"), fc.string()).map(([a, b]) => `${a}${b}|-`),
);
const message = fc.oneof(
  fc.record({ look: key, for: fc.array(key, { maxLength: 3 }) }, { requiredKeys: ["look"] }),
  fc.record({ look: fc.jsonValue(), for: fc.jsonValue() }),
  fc.jsonValue(),
);
const bodies = fc.array(
  fc.oneof(
    message.map((value) => JSON.stringify(value)),
    fc.string({ unit: "binary" }),
  ),
  { maxLength: 4 },
);

test("an invalid message is never redelivered, and its neighbours are handled", async () => {
  const world = await busyWorld();

  await fc.assert(
    fc.asyncProperty(fc.constantFrom(look, plan), bodies, async (consumer, some) => {
      const again = await consume(consumer, world.ctx, some);

      expect(again).toEqual([]);
    }),
    { numRuns: 500 },
  );

  await world.advance(10_000);
  expect((await world.read("alice", "active")).phase).toBe("active");
});

/** A field of a record, and what some broken writer may have left in it. */
const broken = fc.tuple(
  fc.constantFrom(
    ..."kind uid owner phase desired run size actions timeline grant outcome endsAt nodes granted held seen".split(" "),
    ..."summary advised setAside keys revoking number step reason zone waitOrder refreshedAt createdAt".split(" "),
  ),
  fc.oneof(
    fc.constantFrom<unknown>(undefined, null, "", "toString", "__proto__", 0, -1, {}, [], [null], [{}], true),
    fc.jsonValue({ maxDepth: 2 }),
  ),
);

test("an invalid record never makes a reconcile message return to the queue", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), broken, async (at, [field, value]) => {
      const world = await busyWorld();
      const items = world.table.all().filter((item) => typeof item.dueAt === "number");
      const item = items[at % items.length] as Item;
      await world.table.put({ ...item, [field]: value, dueAt: world.clock.now() } as Item);
      const all = keys(world).map((key) => JSON.stringify({ look: key, for: keys(world) }));

      expect(await consume(look, world.ctx, all)).toEqual([]);
      expect(await consume(plan, world.ctx, all)).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

const poisons = [
  ["environment", { kind: "something" }],
  ["environment", { kind: { toString: false } }],
  ["environment", { uid: "short" }],
  ["environment", { phase: "sleeping" }],
  ["environment", { phase: "toString" }],
  ["environment", { size: null }],
  ["environment", { size: {} }],
  ["environment", { requests: undefined }],
  ["environment", { events: { timeline: "x" } }],
  ["pool", { kind: "pond" }],
  ["pool", { seen: null }],
  ["pool", { compared: "x" }],
  ["user", { keys: null }],
  ["user", { disabled: "no" }],
] as const;

test.each(poisons)("an invalid record of %s (%j) is marked, deferred by an hour, and logged", async (of, change) => {
  const world = await busyWorld();
  const user = { pk: "user#u1", sk: "-", writers: ["w1"], kind: "user", uid: "u1", number: 1, username: "u" };
  await world.table.put({ ...user, disabled: false, keys: [], revoking: [], attempts: 0, dueShard: "0" } as Item);
  const item = world.table.all().find((item) => item.kind === of) as Item;
  await world.table.put({ ...item, ...change, dueAt: world.clock.now() } as Item);

  await consume(of === "pool" ? plan : look, world.ctx, [JSON.stringify({ look: `${item.pk}|${item.sk}` })]);

  const now = await world.table.get(item);
  expect(now).toMatchObject({ poisoned: true, dueAt: world.clock.now() + HOUR_MS });
  expect(now?.writers.slice(1)).toEqual(item.writers.slice(0, 7));
  const answer = world.log.lines.filter((line) => line.event === "poisoned record");
  expect(answer.map((line) => line.fields.look)).toEqual([`${item.pk}|${item.sk}`]);
});

test("an invalid record of one pool or owner does not block the others", async () => {
  const world = await busyWorld();
  const pool = (await world.table.get({ pk: "pool#t4", sk: "-" })) ?? { pk: "pool#t4", sk: "-", writers: ["w1"] };
  await world.table.put({ ...pool, kind: "pond" } as Item);
  const waiting = world.table.all().find((item) => item.id === "waiting") as Item;
  await world.table.put({ ...waiting, size: {} } as Item);
  await createEnvironment(world.as("bob"), newEnvironment("next"));

  const messages = ["pool#t4|-", "pool#nonsense|-", "pool#h100|-"].map((name) => JSON.stringify({ look: name }));
  const again = await consume(plan, world.ctx, messages);
  await world.advance(5_000);

  expect(again).toEqual([]);
  expect((await world.read("bob", "next")).phase).toBe("active");
});

test("every reconcile message returns to the queue while the table is down", async () => {
  const world = await busyWorld();
  const down = async () => Promise.reject(new Error("ECONNREFUSED"));
  const ctx = { ...world.ctx, table: { ...world.table, get: down, getMany: down, put: down, query: down } };

  for (const [consumer, name] of [
    [look, "owner#a#env#b|c"],
    [plan, "pool#h100|-"],
  ] as const) {
    const again = await consume(consumer, ctx, [JSON.stringify({ look: name })]);

    expect(again).toEqual([0]);
  }
});
