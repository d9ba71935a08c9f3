import { expect, test } from "vitest";
import { memoryQueue } from "#tests/fakes/memory-queue.ts";
import { memoryTable } from "#tests/fakes/memory-table.ts";
import { seededIds } from "#tests/fixtures/ids.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { testSettings } from "#tests/fixtures/settings.ts";
import { sleepingClock } from "#tests/fixtures/sleeping-clock.ts";
import type { Context } from "../context.ts";
import type { Clock } from "../ports/clock.ts";
import type { Compute, RunRef, SignalledUpTo } from "../ports/compute.ts";
import type { Item } from "../ports/table.ts";
import { watchKey } from "../store/keys.ts";
import { releaseWatcherLease, runWatcher } from "./watcher-lease.ts";

const MINUTE = 60_000;

/**
 * Returns a cluster that remembers its changes from `oldest` on, and hosts that follow them, each with its own clock.
 */
function fixture() {
  const time = sleepingClock();
  const [table, queue, log] = [memoryTable(), memoryQueue({ clock: time.clock }), recordingLog()];
  const changed: string[] = [];
  const wakes = new Set<() => void>();
  const cluster = { oldest: 0, living: [] as string[], fails: false, asked: [] as (string | undefined)[] };
  const follow: Compute["changes"] = (signal, from) => {
    cluster.asked.push(from);
    return followed({ changed, wakes, cluster }, signal, from);
  };
  return {
    time,
    table,
    queue,
    log,
    cluster,
    change: async (...names: readonly string[]) => {
      changed.push(...names);
      for (const wake of wakes) wake();
      await time.settled();
    },
    /** Returns the names that were hinted since the last call. */
    hinted: () =>
      queue.receive("work", 10_000).map(({ id, look: message }) => {
        queue.acknowledge("work", id);
        return message.look.split("|")[1];
      }),
    /** `aheadMs`: the error of its clock. */
    host: (aheadMs = 0, overrides: Partial<Context<"table">> = {}) => {
      const ending = new AbortController();
      const clock: Clock = { ...time.clock, now: () => time.clock.now() + aheadMs };
      const ids = seededIds(aheadMs + time.clock.now() + cluster.asked.length, clock);
      const compute = { changes: follow } as Compute;
      const ctx = { table, queue, compute, clock, ids, log, settings: testSettings(), ...overrides };
      const state = { isOver: false };
      const following = runWatcher(ctx, ending.signal).then(() => {
        state.isOver = true;
      });
      return {
        ctx,
        isOver: () => state.isOver,
        async stop() {
          ending.abort();
          time.wake();
          await following;
        },
      };
    },
    item: async () => (await table.get(watchKey)) as Item,
  };
}

async function* followed(
  {
    changed,
    wakes,
    cluster,
  }: { changed: string[]; wakes: Set<() => void>; cluster: ReturnType<typeof fixture>["cluster"] },
  signal: AbortSignal,
  from: string | undefined,
): AsyncGenerator<RunRef | SignalledUpTo> {
  const toRef = (name: string) => ({ uid: "0".repeat(32), run: 1, key: `owner#a#env#gpu-dev|${name}` });
  let at = Number(from ?? Number.NaN);
  if (!(at >= cluster.oldest)) {
    at = changed.length;
    for (const name of cluster.living) yield toRef(name);
  }
  while (!signal.aborted) {
    if (cluster.fails) throw new Error("the cluster is away");
    const name = changed[at];
    if (name !== undefined) {
      at += 1;
      yield toRef(name);
      continue;
    }
    yield { upTo: String(at) };
    await new Promise<void>((resolve) => {
      wakes.add(resolve);
      signal.addEventListener("abort", () => resolve());
    });
  }
}

test("the first follower begins with every living run, and the next continues from there: no run is hinted twice", async () => {
  const { time, cluster, change, hinted, host } = fixture();
  cluster.living = ["a", "b", "c"];
  const first = host();
  await time.advance(MINUTE);
  await change("d");
  const ofFirst = hinted();

  await time.advance(9 * MINUTE);
  const second = host();
  await change("e");
  await time.advance(30_000);
  const ofBoth = hinted();
  await time.advance(MINUTE);
  await change("f");

  expect(ofFirst).toEqual(["a", "b", "c", "d"]);
  expect(ofBoth).toEqual(["e"]);
  expect([first.isOver(), second.isOver()]).toEqual([true, false]);
  expect(hinted()).toEqual(["f"]);
  expect(cluster.asked).toEqual([undefined, "2"]);
  await second.stop();
});

test("a change between two followers is hinted once", async () => {
  const { time, change, hinted, host } = fixture();
  const first = host();
  await time.advance(MINUTE);
  await change("a");
  await first.stop();
  await change("b", "c");

  const second = host();
  await time.advance(1_000);

  expect(hinted()).toEqual(["a", "b", "c"]);
  await second.stop();
});

test("every living run is hinted if the cluster no longer knows the last position", async () => {
  const { time, cluster, change, hinted, host } = fixture();
  cluster.living = ["a", "b"];
  const first = host();
  await time.advance(MINUTE);
  await change("c", "d");
  await first.stop();
  hinted();
  cluster.oldest = 5;

  const second = host();
  await time.advance(1_000);

  expect(hinted()).toEqual(["a", "b"]);
  await second.stop();
});

test("a killed holder is replaced once it has not written for 90 s, from its last position", async () => {
  const { time, cluster, change, hinted, host, table } = fixture();
  let isDead = false;
  const put: typeof table.put = (item, options) => (isDead ? new Promise(() => {}) : table.put(item, options));
  host(0, { table: { ...table, put } });
  await time.advance(MINUTE + 1);
  await change("a");
  await time.advance(MINUTE);
  hinted();
  isDead = true;
  cluster.asked.length = 0;

  const next = host();
  await time.advance(80_000);
  const early = [...cluster.asked];
  await time.advance(20_000);
  await change("b");

  expect(early).toEqual([]);
  expect(cluster.asked).toEqual(["1"]);
  expect(hinted()).toContain("b");
  await next.stop();
});

test.each([
  ["an hour ahead", 3_600_000],
  ["an hour behind", -3_600_000],
])("a holder whose clock is %s hands over without missing a change", async (_, aheadMs) => {
  const { time, cluster, change, hinted, host } = fixture();
  cluster.living = ["z"];
  const first = host(aheadMs);
  await time.advance(10 * MINUTE);
  const second = host();
  await change("a");
  await time.advance(100_000);
  await change("b");
  await time.advance(100_000);

  expect([first.isOver(), second.isOver()]).toEqual([true, false]);
  expect(new Set(hinted())).toEqual(new Set(["z", "a", "b"]));
  await change("c");
  expect(hinted()).toEqual(["c"]);
  await second.stop();
});

test("of several that begin at once one follows, and the others end", async () => {
  const { time, cluster, change, hinted, host } = fixture();
  const hosts = [host(), host(1), host(2)];
  await time.advance(3 * MINUTE);
  await change("a");

  expect(hosts.filter((host) => host.isOver())).toHaveLength(2);
  expect(cluster.asked).toHaveLength(1);
  expect(hinted()).toEqual(["a"]);
  await Promise.all(hosts.map((host) => host.stop()));
});

test("a suspended holder that was replaced ends when it resumes", async () => {
  const { time, change, hinted, host, table, item } = fixture();
  const first = host();
  await time.advance(1_000);
  const others = { ...(await item()), writers: ["other"], holder: "other", until: Number.MAX_SAFE_INTEGER };
  await table.put(others as Item);

  await time.advance(30_000);
  await change("a");

  expect(first.isOver()).toBe(true);
  expect(hinted()).toEqual([]);
  expect(await item()).toMatchObject({ holder: "other" });
});

test("an unavailable cluster and table end no follower, and no change is missed", async () => {
  const { time, cluster, change, hinted, host, table, log } = fixture();
  let isAway = false;
  const put: typeof table.put = (item, options) =>
    isAway ? Promise.reject(new Error("away")) : table.put(item, options);
  const entry = host(0, { table: { ...table, put } });
  await time.advance(1_000);
  await change("a");
  isAway = true;
  cluster.fails = true;
  await change("b");
  await time.advance(MINUTE);
  [isAway, cluster.fails] = [false, false];
  await time.advance(MINUTE);

  expect(entry.isOver()).toBe(false);
  expect(hinted()).toEqual(["a", "b"]);
  expect(new Set(log.lines.map(({ event }) => event))).toEqual(
    new Set(["changes not followed", "place in the changes not noted"]),
  );
  await entry.stop();
});

test("a quiet hour of the watch costs a write every half minute and a few reads", async () => {
  const { time, host, table } = fixture();
  const calls = { get: 0, put: 0 };
  const counted: typeof table = {
    ...table,
    get: (key) => {
      calls.get += 1;
      return table.get(key);
    },
    put: (...put) => {
      calls.put += 1;
      return table.put(...put);
    },
  };

  for (let minutes = 0; minutes < 60; minutes += 10) {
    host(0, { table: counted });
    await time.advance(10 * MINUTE);
  }

  expect(calls.put).toBeLessThanOrEqual(120 + 3 * 6);
  expect(calls.get).toBeLessThanOrEqual(6 * 62);
});

test("an item edited by hand blocks no follower; one of a newer version does", async () => {
  const { time, hinted, host, table, cluster } = fixture();
  cluster.living = ["a"];
  await table.put({ ...watchKey, writers: ["w"], kind: "watch", holder: 7, until: "never", version: {} } as never);
  const entry = host();
  await time.advance(1_000);
  const first = hinted();
  await entry.stop();
  await table.put({ ...watchKey, writers: ["w"], kind: "watch", format: 99 } as never);
  const otherEntry = host();
  await time.advance(3 * MINUTE);

  expect(first).toEqual(["a"]);
  expect([hinted(), otherEntry.isOver()]).toEqual([[], true]);
});

test("an item of a newer version blocks no start, stays unchanged, and is logged once", async () => {
  const { time, hinted, host, table, log } = fixture();
  const newer = { ...watchKey, writers: ["w"], kind: "watch", format: 99, place: "somewhere" };
  await table.put(newer as never);
  const entry = host();

  await releaseWatcherLease(entry.ctx);
  await time.advance(3 * MINUTE);

  expect([await table.get(watchKey), hinted(), entry.isOver()]).toEqual([newer, [], true]);
  const said = log.lines.filter(({ event }) => event === "changes not followed");
  expect(said.map(({ fields }) => String(fields.error))).toEqual([
    expect.stringContaining("a newer version follows the changes"),
  ]);
});

test("a stream that ends without an error is reopened at most every second", async () => {
  const { time, cluster, host } = fixture();
  let input = 0;
  const compute = {
    async *changes(): AsyncGenerator<SignalledUpTo> {
      input += 1;
      // A loop without a pause would never return to this test.
      if (input > 1_000) throw new Error("asked too often");
      yield { upTo: String(input) };
    },
  } as unknown as Compute;
  const entry = host(0, { compute } as never);

  await time.advance(30_000);
  await entry.stop();

  expect([cluster.asked, input <= 32]).toEqual([[], true]);
});

test("does not wait for a killed follower if none is known to follow", async () => {
  const { time, cluster, host } = fixture();
  const killed = host(0);
  await time.advance(1_000);

  await releaseWatcherLease(killed.ctx);
  const next = host(1);
  await time.advance(1_000);

  expect(cluster.asked).toHaveLength(2);
  await Promise.all([killed.stop(), next.stop()]);
});
