import { expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import type { RunRef } from "../ports/compute.ts";
import type { ReconcileRequest, SendOptions } from "../ports/queue.ts";
import { forwardEvents } from "./forward-events.ts";

const FLOOD = 100_000;

interface Sent extends SendOptions {
  readonly look: string;
  /** When it becomes visible, ms. */
  readonly at: number;
}

async function listening() {
  const log = recordingLog();
  const world = { ...(await memoryWorld({ log })), log };
  const { pk, sk } = await createEnvironment(world.as("alice"), newEnvironment("one", { command: "train" }));
  await world.advance(10_000);
  log.lines.length = 0;
  return { world, key: `${pk}|${sk}` };
}

/** Returns the messages for signals of these keys, each this many ms after the one before. */
async function sentFor(
  world: MemoryWorld,
  signals: Iterable<readonly [key: string, afterMs: number]>,
): Promise<Sent[]> {
  const sent: Sent[] = [];
  const send = async (queue: "work" | "pools" | "webhooks", message: ReconcileRequest, options: SendOptions = {}) => {
    expect([queue, message.hint]).toEqual(["work", true]);
    sent.push({ ...options, look: message.look, at: world.clock.now() + (options.delaySeconds ?? 0) * 1_000 });
  };
  async function* changes(): AsyncGenerator<RunRef> {
    for (const [key, afterMs] of signals) {
      world.clock.advance(afterMs);
      yield { uid: "0".repeat(32), run: 1, key };
    }
  }
  const ctx = { ...world.ctx, queue: { ...world.queue, send }, compute: { ...world.compute, changes } };
  await forwardEvents(ctx, {
    signal: new AbortController().signal,
    from: null,
    reached: () => {},
    nodesChanged: () => {},
  });
  return sent;
}

function* times(count: number, formatKey: (n: number) => string, afterMs = 0): Generator<readonly [string, number]> {
  for (let n = 0; n < count; n++) yield [formatKey(n), afterMs];
}

const never = (n: number) => `owner#nobody#env#gpu-dev|${n}`;

test("a hundred thousand signals of one job at once become ten messages, and a late one", async () => {
  const { world, key } = await listening();

  const sent = await sentFor(
    world,
    times(FLOOD, () => key),
  );

  expect(sent.map(({ look: recordKey, delaySeconds = 0 }) => [recordKey, delaySeconds])).toEqual([
    ...Array(10).fill([key, 0]),
    [key, 2],
  ]);
  expect(world.log.lines).toEqual([]);
});

test("a hundred thousand signals for unknown environments become at most as many messages as a large fleet has jobs", async () => {
  const { world } = await listening();

  const sent = await sentFor(world, times(FLOOD, never));

  expect(sent).toHaveLength(10_000);
  expect(world.log.lines.map(({ event, fields }) => [event, fields])).toEqual([["signals dropped", { most: 10_000 }]]);
});

test("passes on all signals of ten thousand living runs at once, as after a cluster lost a watch position", async () => {
  const { world } = await listening();

  const sent = await sentFor(world, times(10_000, never));

  expect(new Set(sent.map(({ look: recordKey }) => recordKey)).size).toBe(10_000);
  expect(sent.every(({ delaySeconds }) => delaySeconds === undefined)).toBe(true);
  expect(world.log.lines).toEqual([]);
});

test("a run that changes constantly is reconciled every two seconds, and once more after its last change", async () => {
  const { world, key } = await listening();
  const begun = world.clock.now();

  const sent = await sentFor(
    world,
    times(60_000, () => key, 1),
  );

  const last = world.clock.now();
  expect(last - begun).toBe(60_000);
  expect(sent.length).toBeGreaterThan(30);
  expect(sent.length).toBeLessThanOrEqual(10 + 30 + 1);
  expect(Math.max(...sent.map(({ at }) => at))).toBeGreaterThanOrEqual(last);
});

test.each([
  ["a second of a short life", 8, 100],
  ["an hour with one every two seconds", 1_800, 2_000],
])("passes on each signal of %s at once", async (_, count, afterMs) => {
  const { world, key } = await listening();

  const sent = await sentFor(
    world,
    times(count, () => key, afterMs),
  );

  expect(sent).toHaveLength(count);
  expect(sent.every(({ delaySeconds }) => delaySeconds === undefined)).toBe(true);
});

test("a flood of one job's signals delays no other job", async () => {
  const { world, key } = await listening();

  const sent = await sentFor(world, [...times(1_000, () => key), [never(1), 0], ...times(1_000, () => key)]);

  expect(sent.filter(({ look: recordKey }) => recordKey === never(1))).toEqual([
    { look: never(1), at: world.clock.now() },
  ]);
});

test("remembers no more records than it passes on at once", async () => {
  const { world, key } = await listening();
  const flood = [...times(11, () => key)];

  const sent = await sentFor(world, [...flood, ...times(10_000, never, 1), ...flood]);

  const delays = sent.filter(({ look: recordKey }) => recordKey === key).map(({ delaySeconds = 0 }) => delaySeconds);
  expect(delays).toEqual([...Array(10).fill(0), 2, ...Array(10).fill(0), 2]);
});

test.each(["", "|", "nonsense", "pool#h100|-", "user#x|-", "owner#a#env#gpu-dev", "key#x|-"])(
  "a signal that names no environment (%j) sends no message",
  async (key) => {
    const { world } = await listening();

    expect(await sentFor(world, [[key, 0]])).toEqual([]);
  },
);
