import { expect, test } from "vitest";
import { reservation } from "#core/environments/record/policy.ts";
import { toKey } from "#core/environments/record/record.ts";
import { addEntry } from "#core/environments/record/timeline.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { requestStart } from "#core/environments/verbs/start.ts";
import { requestStop } from "#core/environments/verbs/stop.ts";
import { reconcile } from "#core/reconciler/reconcile.ts";
import { type MemoryWorld, memoryWorld, newActor, newEnvironment } from "#tests/worlds/memory-world.ts";
import type { Item } from "../ports/table.ts";
import { deliveriesPartition, environmentKey, keyText } from "../store/keys.ts";
import { parseDelivery } from "./delivery.ts";

const always = "https://always.example/";
const once = "https://once.example/";
const again = { ...reservation, time: "none", restarts: true } as const;

interface Emitted {
  readonly url: string;
  readonly n: number;
  readonly phase: string;
}

function emittedBy({ fetch }: MemoryWorld): Emitted[] {
  const posts = fetch.posts.map(({ url, body }) => ({ url, ...(JSON.parse(body) as Omit<Emitted, "url">) }));
  return posts.toSorted((left, right) => left.n - right.n);
}

test("every timeline entry is reported once, in order, with its number", async () => {
  const world = await memoryWorld();

  await createEnvironment(world.as("alice"), { ...newEnvironment("a", { hours: 0.05 }), receiver: always });
  await world.advance(10 * 60_000);

  const environment = await world.read("alice", "a");
  expect(environment.phase).toBe("expired");
  expect(environment.events.emitted).toBe(environment.events.count);
  const numbers = Array.from({ length: environment.events.count }, (_, index) => index + 1);
  expect(emittedBy(world).map(({ n }) => n)).toEqual(numbers);
  expect(emittedBy(world).map(({ phase }) => phase)).toEqual(environment.events.timeline.map(({ phase }) => phase));
});

test("an event is reported at once, independent of the record's next reconcile", async () => {
  const world = await memoryWorld();
  const emittedAt = new Map<string, number>();
  world.fetch.answer(always, ({ body }) => {
    const { phase } = JSON.parse(body) as Emitted;
    // A warning before the end has the phase of the start.
    if (!emittedAt.has(phase)) emittedAt.set(phase, world.clock.now());
    return { status: 200, retryAfterMs: null };
  });

  await createEnvironment(world.as("alice"), { ...newEnvironment("a", { hours: 0.05 }), receiver: always });
  await world.advance(10 * 60_000);

  const {
    run: { startedAt },
    end: { at: endedAt },
  } = await world.read("alice", "a");
  expect(Number(emittedAt.get("active")) - Number(startedAt)).toBeLessThan(1_000);
  expect(Number(emittedAt.get("expired")) - Number(endedAt)).toBeLessThan(1_000);
});

test("a waiting job reports its first event with the submit, by one message, or none without a receiver", async () => {
  const sentFor = async (id: string, receiver: string | undefined) => {
    const world = await memoryWorld({ nodes: [] });
    await createEnvironment(world.as("alice"), { ...newEnvironment(id), receiver });
    const sent = world.queue.sent();
    await world.deliver();
    return { sent, answers: emittedBy(world).map(({ phase }) => phase) };
  };

  const [without, answers] = [await sentFor("a", undefined), await sentFor("b", always)];

  expect(answers.answers).toEqual(["queued"]);
  expect(answers.sent).toBe(without.sent + 1);
  expect(without).toEqual({ sent: 1, answers: [] });
});

test("a submit succeeds if only its first event could not be written, and the next reconcile reports it", async () => {
  const world = await memoryWorld({ nodes: [] });
  const { put } = world.table;
  const throttled: typeof put = async (item, options) => {
    if ((item as Item).kind === "delivery") throw new Error("throttled");
    await put(item, options);
  };
  Object.assign(world.table, { put: throttled });

  const { phase } = await createEnvironment(world.as("alice"), { ...newEnvironment("a"), receiver: always });
  Object.assign(world.table, { put });
  await world.advance(2 * 60_000);

  expect([phase, emittedBy(world).map((answers) => answers.phase)]).toEqual(["queued", ["queued"]]);
});

test("without a receiver nothing is reported and nothing more is written", async () => {
  const world = await memoryWorld();

  await createEnvironment(world.as("alice"), newEnvironment("a"));
  await world.advance(10_000);

  const environment = await world.read("alice", "a");
  expect(environment.phase).toBe("active");
  expect(environment.events.emitted).toBe(environment.events.count);
  expect(world.fetch.posts).toEqual([]);
  expect((await world.table.query({ pk: deliveriesPartition(newActor("alice").uid) })).items).toEqual([]);
});

test("a record is due while entries are above its cursor, and an existing delivery stays unchanged", async () => {
  const world = await memoryWorld();
  const made = await createEnvironment(world.as("alice"), { ...newEnvironment("a"), receiver: always });
  await world.advance(10_000);
  const before = (await world.table.query({ pk: deliveriesPartition(newActor("alice").uid) })).items.map(parseDelivery);
  const environment = await world.read("alice", "a");

  // State after a crash between the deliveries and the cursor.
  const rewound = { ...environment, events: { ...environment.events, emitted: 0 }, dueAt: world.clock.now() };
  await world.table.put(rewound);
  await reconcile(world.ctx, { look: keyText(environmentKey(made.owner, made.createdBy, made.id)) });

  const after = (await world.table.query({ pk: deliveriesPartition(newActor("alice").uid) })).items.map(parseDelivery);
  expect(after).toEqual(before);
  expect((await world.read("alice", "a")).events.emitted).toBe(environment.events.count);
});

test("a receiver of a start or a stop applies to that run, and earlier events go to the earlier receiver", async () => {
  const world = await memoryWorld();
  const as = world.as("alice");
  await createEnvironment(as, { ...newEnvironment("a"), policy: again, receiver: always });
  await world.advance(10_000);
  const first = (await world.read("alice", "a")).events.count;

  await requestStop(as, "a", { receiver: once });
  await world.advance(60_000);
  const second = (await world.read("alice", "a")).events.count;
  await requestStart(as, "a");
  await world.advance(60_000);

  const environment = await world.read("alice", "a");
  expect([environment.phase, environment.run.n]).toEqual(["active", 2]);
  const answers = emittedBy(world);
  expect(answers).toHaveLength(environment.events.count);
  expect(answers.filter(({ url }) => url === once).map(({ n }) => n)).toEqual(
    Array.from({ length: second - first }, (_, index) => first + 1 + index),
  );
});

test("an unreported event goes to the receiver of its time", async () => {
  const world = await memoryWorld();
  const as = world.as("alice");
  await createEnvironment(as, { ...newEnvironment("a"), policy: again, receiver: always });

  // No delivery is written yet: the record waits with its first entry above the cursor.
  await requestStop(as, "a", { receiver: once });
  await world.advance(60_000);

  expect(emittedBy(world)).toMatchObject([
    { n: 1, url: always, phase: "queued" },
    { n: 2, url: once, phase: "stopped" },
  ]);
});

test("unreported entries stay in the head beyond forty, until they are reported", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), { ...newEnvironment("a"), receiver: always });
  await world.advance(10_000);
  let environment = await world.read("alice", "a");
  const before = environment.events.count;

  // State of a record with many events while no delivery could be written.
  for (let n = 1; n <= 60; n++) environment = addEntry(environment, world.clock.now(), `entry ${n}`);
  const crowded = { ...environment, dueAt: world.clock.now() };
  await world.table.put(crowded);
  await reconcile(world.ctx, { look: keyText(toKey(crowded)) });
  await world.advance(60_000);

  const answers = await world.read("alice", "a");
  const numbers = Array.from({ length: answers.events.count }, (_, index) => index + 1);
  expect(answers.events.count).toBeGreaterThanOrEqual(before + 60);
  expect(emittedBy(world).map(({ n }) => n)).toEqual(numbers);
  expect(addEntry(answers, world.clock.now(), "one more").events.timeline).toHaveLength(40);
});
