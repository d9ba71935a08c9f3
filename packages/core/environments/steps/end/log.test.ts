import { describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import type { Compute } from "../../../ports/compute.ts";
import type { LiveLogs } from "../../../ports/run-log.ts";
import type { Item } from "../../../ports/table.ts";
import { reconcile } from "../../../reconciler/reconcile.ts";
import { keyText } from "../../../store/keys.ts";
import { toKey } from "../../record/record.ts";
import { requestCancel } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";
import { followLog, readKeptLog, readLog } from "../../verbs/read-log.ts";

const SECOND = 1000;
const DAY = 24 * 3_600_000;
const MIB = 1024 * 1024;

/** A world with one environment of alice that runs a command and has printed `first`. */
async function printing(ends?: { code: number; afterMs: number }) {
  const world = await memoryWorld();
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one", { command: "x" }));
  const outcome = ends ? ({ kind: "exits", ...ends } as const) : ({ kind: "lives" } as const);
  world.compute.program(environment.uid, outcome, { log: "first\n" });
  await world.deliver();
  const print = (text: string) => world.compute.print(environment.uid, 1, text);
  const alice = { ...world.as("alice"), blobs: world.blobs };
  const shown = async () => readLog(alice, "one");
  return { world, uid: environment.uid, print, shown };
}

/** A world whose log has a stream, and a follower of it. */
async function remote() {
  const { world } = await printing();
  await world.advance(6 * SECOND);
  let streamed: string | undefined;
  const live: LiveLogs = {
    isRemote: true,
    read: async (_uid, _run, from) => {
      const bytes = streamed === undefined ? undefined : new TextEncoder().encode(streamed);
      return bytes && { start: from, bytes: bytes.subarray(from) };
    },
    waitFor: async () => undefined,
  };
  const alice = { ...world.as("alice"), blobs: world.blobs };
  const follow = (after: number) =>
    followLog(alice, "one", { after, mostBytes: 2 * MIB, waitMs: 0, wantsFresh: false }, live);
  const stream = (text: string | undefined) => {
    streamed = text;
  };
  return { world, follow, stream };
}

/** A job with a command that printed `last` and ended; the reconcile that saw this only recorded it. */
async function justEnded() {
  const { world, print, shown } = await printing({ code: 0, afterMs: 7 * SECOND });
  await world.advance(6 * SECOND);
  print("last\n");
  world.clock.advance(2 * SECOND);
  await reconcile(world.ctx, { look: keyText(toKey(await world.read("alice", "one"))), hint: true });
  return { world, shown };
}

/** Reconciles a record that was due long ago. */
async function reconcileLater(world: MemoryWorld, ms: number): Promise<void> {
  world.clock.advance(ms);
  await reconcile(world.ctx, { look: keyText(toKey(await world.read("alice", "one"))) });
}

describe("the log of a command", () => {
  test("is empty before the command starts", async () => {
    const world = await memoryWorld({ nodes: [] });
    await createEnvironment(world.as("alice"), newEnvironment("one", { command: "x" }));

    const log = await readKeptLog({ ...world.as("alice"), blobs: world.blobs }, "one");

    expect(log).toEqual({ text: "", cut: false, next: 0, ended: false });
  });

  test("can be read in its current state while it runs, from one copy", async () => {
    const { world, print, shown } = await printing();
    expect((await shown()).text).toBe("first\n");

    print("second\n");
    await world.advance(2 * SECOND);

    expect((await shown()).text).toBe("first\nsecond\n");
    expect(world.blobs.names()).toHaveLength(1);
  });

  test("of a command without output is read after at most one copy", async () => {
    const world = await memoryWorld();
    await createEnvironment(world.as("alice"), newEnvironment("one", { command: "x" }));
    await world.deliver();
    const askedAt = world.clock.now();

    const log = await readLog({ ...world.as("alice"), blobs: world.blobs }, "one");

    expect(log.text).toBe("");
    expect(world.clock.now() - askedAt).toBeLessThan(2 * SECOND);
  });

  test("is copied every 2 s for two minutes after a read, and otherwise every five minutes if it grew", async () => {
    const { world, print, shown } = await printing();
    const copies: number[] = [];
    const { put } = world.ctx.blobs;
    const counted = async (...call: Parameters<typeof put>) => {
      copies.push(world.clock.now());
      return put(...call);
    };
    Object.assign(world.ctx.blobs, { put: counted });
    await world.advance(2 * SECOND);
    await shown();
    const readAt = world.clock.now();

    for (let second = 0; second < 600; second++) {
      print(`${second}\n`);
      await world.advance(SECOND);
    }
    const whileRead = copies.filter((at) => at <= readAt + 121 * SECOND);
    await world.advance(600 * SECOND);

    const gaps = whileRead.slice(1).map((at, n) => at - (whileRead[n] ?? 0));
    expect(new Set(gaps)).toEqual(new Set([2 * SECOND]));
    expect(whileRead.length).toBeGreaterThanOrEqual(60);
    expect(copies.length - whileRead.length).toBe(2);
  });

  test("is requested once a minute for many readers", async () => {
    const { world, shown } = await printing();
    await world.advance(2 * SECOND);
    await shown();
    const { requests: before } = await world.read("alice", "one");
    const wanted: unknown[] = [];
    const { put } = world.ctx.table;
    Object.assign(world.ctx.table, {
      put: async (...call: Parameters<typeof put>) => {
        const { kind, logWantedUntil } = call[0] as unknown as Item;
        if (kind === "environment") wanted.push(logWantedUntil);
        return put(...call);
      },
    });

    const until = world.clock.now() + 55 * SECOND;
    while (world.clock.now() < until) {
      await Promise.all([shown(), shown(), shown()]);
      await world.advance(SECOND);
    }

    expect(new Set(wanted).size).toBe(1);
    expect((await world.read("alice", "one")).requests).toEqual(before);
  });

  test("has its last line after the end, although that was printed between two copies", async () => {
    const { world, print, shown } = await printing({ code: 0, afterMs: 7 * SECOND });
    await world.advance(6900);
    print("last\n");

    await world.advance(10 * SECOND);

    expect((await world.read("alice", "one")).phase).toBe("completed");
    expect((await shown()).text).toBe("first\nlast\n");
  });

  test("shows its last line as soon as the end is shown", async () => {
    const { world, shown } = await justEnded();
    const { phase, end, log } = await world.read("alice", "one");
    expect([phase, end.outcome?.phase, log?.lastOf]).toEqual(["stopping", "completed", undefined]);
    const askedAt = world.clock.now();

    expect((await shown()).text).toBe("first\nlast\n");
    expect(world.clock.now() - askedAt).toBeLessThanOrEqual(2 * SECOND);
  });

  test("is read after 2 s from the latest copy if no reconcile follows the end", async () => {
    const { world } = await justEnded();
    const askedAt = world.clock.now();
    // Time passes without any worker.
    const clock = { ...world.clock, sleep: async (ms: number) => world.clock.advance(ms) };

    const log = await readLog({ ...world.as("alice"), blobs: world.blobs, clock }, "one");

    expect(log.text).toBe("first\n");
    expect(world.clock.now() - askedAt).toBe(2 * SECOND);
  });

  test("contains the output before a cancellation", async () => {
    const { world, print, shown } = await printing();
    await world.advance(6 * SECOND);
    print("last\n");

    await requestCancel(world.as("alice"), "one");
    await world.deliver();

    expect((await world.read("alice", "one")).phase).toBe("cancelled");
    expect((await shown()).text).toBe("first\nlast\n");
  });

  test("is the newest MiB, cut before a whole character", async () => {
    const { world, print, shown } = await printing();
    print(`${"ä".repeat(MIB)}z`);
    await world.advance(2 * SECOND);

    const { text, cut } = await shown();
    expect(cut).toBe(true);
    expect(new TextEncoder().encode(text).length).toBe(MIB - 1);
    expect(text).toBe(`${"ä".repeat(MIB / 2 - 1)}z`);
  });

  test("continues at the position that its machine names, and reports lost output", async () => {
    const { world, print, shown } = await printing();
    print("second\n");
    await world.advance(2 * SECOND);
    const before = await shown();
    const ends: unknown[] = [];
    world.compute.readLog = async (_uid, _run, knownLogEnd) => {
      ends.push(knownLogEnd);
      return { start: 20, bytes: new TextEncoder().encode("third\n"), mark: "m" };
    };
    await world.advance(4 * SECOND);
    const alice = { ...world.as("alice"), blobs: world.blobs };

    const after = await followLog(alice, "one", { after: before.next, mostBytes: 100, waitMs: 0, wantsFresh: true });

    expect(before).toMatchObject({ text: "first\nsecond\n", cut: false, next: 13 });
    expect(after).toMatchObject({ text: "third\n", cut: true, next: 26 });
    expect(await shown()).toMatchObject({ text: "third\n", cut: true, next: 26 });
    expect(ends.slice(0, 2)).toEqual([{ position: 13 }, { position: 26, mark: "m" }]);
  });

  test("keeps the position of a follower that a stream of a remote log has shown more than the copy has", async () => {
    const { world, follow, stream } = await remote();
    stream("first\nsecond\n");
    const ahead = await follow(0);
    stream(undefined);

    const behind = await follow(ahead.next);
    await requestCancel(world.as("alice"), "one");
    await world.deliver();
    const ended = await follow(ahead.next);

    expect(ahead).toMatchObject({ text: "first\nsecond\n", next: 13, ended: false });
    expect(behind).toMatchObject({ text: "", next: 13, ended: false });
    expect(ended).toMatchObject({ text: "", ended: true });
  });

  test("is copied once more when a stream of a remote log is a MiB ahead of the last copy", async () => {
    const { world, follow, stream } = await remote();
    const isWanted = async () => (await world.read("alice", "one")).logWantedUntil !== undefined;
    stream("first\n");
    await follow(0);
    const isWantedNear = await isWanted();
    stream(`first\n${"x".repeat(MIB + 1)}`);

    await follow(0);
    const isWantedAhead = await isWanted();
    await world.advance(10 * SECOND);

    expect([isWantedNear, isWantedAhead]).toEqual([false, true]);
    expect((await world.read("alice", "one")).log?.bytes).toBe(6);
  });

  test("is copied once more when a stream has shown output that its last copy of half a minute ago lacks", async () => {
    const { world, follow, stream } = await remote();
    const isWanted = async () => ((await world.read("alice", "one")).logWantedUntil ?? 0) > world.clock.now();
    stream("first\n");
    await follow(0);
    await world.advance(31 * SECOND);
    await follow(0);
    const isWantedWithoutNews = await isWanted();
    stream("first\nnext\n");

    await follow(0);

    expect([isWantedWithoutNews, await isWanted()]).toEqual([false, true]);
  });

  test("is read from the last copy once the command has ended, although a late stream may still be open", async () => {
    const { world } = await justEnded();
    const late: LiveLogs = {
      isRemote: true,
      read: async () => ({ start: 0, bytes: new TextEncoder().encode("first\n") }),
      waitFor: async () => undefined,
    };

    const log = await readLog({ ...world.as("alice"), blobs: world.blobs }, "one", late);

    expect(log.text).toBe("first\nlast\n");
  });

  test("is kept for seven days after the end, and its removal completes the record", async () => {
    const { world, shown } = await printing({ code: 0, afterMs: SECOND });
    await world.advance(12 * 60 * SECOND);
    const {
      end: { at: endedAt },
      dueAt,
    } = await world.read("alice", "one");
    expect(dueAt).toBe((endedAt ?? 0) + 7 * DAY);

    await reconcileLater(world, (dueAt ?? 0) - world.clock.now() - 3 * SECOND);
    expect((await shown()).text).toBe("first\n");
    world.clock.advance(3 * SECOND);
    expect((await shown()).text).toBe("");
    await reconcileLater(world, 0);

    expect(world.blobs.names()).toEqual([]);
    const done = await world.read("alice", "one");
    expect(done.dueAt).toBeUndefined();
    expect(done.ttl).toBeGreaterThan(0);
  });

  test("is not found for another owner", async () => {
    const { world } = await printing();

    const keptLog = readKeptLog({ ...world.as("bob"), blobs: world.blobs }, "one");

    await expect(keptLog).rejects.toThrow("Job one not found");
  });
});

describe("a log that cannot be copied", () => {
  test("is reported once and delays neither the end nor the machine", async () => {
    const { world, shown } = await printing();
    await world.advance(6 * SECOND);
    world.compute.print((await world.read("alice", "one")).uid, 1, "lost\n");
    world.blobs.breakWith(new Error("no room"));

    await requestCancel(world.as("alice"), "one");
    await world.deliver();

    const ended = await world.read("alice", "one");
    expect(ended.phase).toBe("cancelled");
    const entries = ended.events.timeline.filter(({ reason }) => reason === "The end of its log could not be saved");
    expect(entries).toHaveLength(1);
    expect(world.compute.liveUnits("h100-1") + world.compute.liveUnits("h100-2")).toBe(0);
    world.blobs.breakWith(undefined);
    expect((await shown()).text).toBe("first\n");
  });

  test("is copied later without a notice while the run lives", async () => {
    const { world, shown } = await printing();
    world.blobs.breakWith(new Error("no room"));
    await world.advance(20 * SECOND);

    world.blobs.breakWith(undefined);
    await world.advance(6 * SECOND);

    expect((await shown()).text).toBe("first\n");
    const {
      events: { timeline },
      phase,
      attempts,
    } = await world.read("alice", "one");
    expect({ phase, attempts }).toEqual({ phase: "active", attempts: 0 });
    expect(timeline.map(({ reason }) => reason)).not.toContain("The end of its log could not be saved");
  });

  test("is not overwritten by a paused worker, because its late copy has another name", async () => {
    const { world, print, shown } = await printing();
    await world.advance(6 * SECOND);
    print("second\n");
    const wakers: (() => void)[] = [];
    const { put } = world.ctx.blobs;
    const slow: typeof world.ctx.blobs = {
      ...world.ctx.blobs,
      put: async (...call) => {
        await new Promise<void>((resolve) => wakers.push(resolve));
        return put(...call);
      },
    };
    world.clock.advance(5 * 60 * SECOND);
    const message = { look: keyText(toKey(await world.read("alice", "one"))) };
    const late = reconcile({ ...world.ctx, blobs: slow }, message);
    await new Promise((resolve) => setImmediate(resolve));
    expect(wakers).toHaveLength(1);
    print("third\n");
    await world.advance(10 * 60 * SECOND);

    for (const wake of wakers) wake();
    await late;

    expect((await shown()).text).toBe("first\nsecond\nthird\n");
    expect(world.blobs.names(), "the copy that no record names, beside the log").toHaveLength(2);
    await requestCancel(world.as("alice"), "one");
    await world.advance(12 * 60 * SECOND);
    const { dueAt } = await world.read("alice", "one");
    await reconcileLater(world, (dueAt ?? 0) - world.clock.now());
    expect(world.blobs.names()).toEqual([]);
  });

  test("is kept when another reconcile of the end finds the run already removed", async () => {
    const { world, shown } = await printing();
    const { remove } = world.compute;
    let isOther = false;
    const raced: Compute = {
      ...world.compute,
      remove: async (uid, run, options) => {
        const hasTombstones = await remove(uid, run, options);
        if (isOther) return hasTombstones;
        isOther = true;
        await reconcile(world.ctx, { look: keyText(toKey(await world.read("alice", "one"))), hint: true });
        return hasTombstones;
      },
    };
    Object.assign(world.ctx, { compute: raced });
    world.compute.print((await world.read("alice", "one")).uid, 1, "last\n");

    await requestCancel(world.as("alice"), "one");
    await world.deliver();

    expect(isOther).toBe(true);
    expect((await shown()).text).toBe("first\nlast\n");
  });

  test("is read before its run is removed, because nothing is left afterwards", async () => {
    const { world, shown } = await printing();
    const removed = new Set<string>();
    const forgetful: Compute = {
      ...world.compute,
      remove: async (uid, run, options) => {
        removed.add(uid);
        return world.compute.remove(uid, run, options);
      },
      readLog: async (uid, run) =>
        removed.has(uid) ? { start: 0, bytes: new Uint8Array() } : world.compute.readLog(uid, run),
    };
    Object.assign(world.ctx, { compute: forgetful });

    await requestCancel(world.as("alice"), "one");
    await world.deliver();

    expect((await shown()).text).toBe("first\n");
  });
});
