import { describe, expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import {
  type MemoryWorld,
  memoryWorld,
  newEnvironment,
  newNodes,
  type WorldOptions,
} from "#tests/worlds/memory-world.ts";
import type { Compute } from "../../../ports/compute.ts";
import type { ReconcileRequest } from "../../../ports/queue.ts";
import type { Key } from "../../../ports/table.ts";
import { reconcile } from "../../../reconciler/reconcile.ts";
import { keyText } from "../../../store/keys.ts";
import { type Policy, reservation } from "../../record/policy.ts";
import { toKey } from "../../record/record.ts";
import { requestCancel } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";
import { readKeptLog } from "../../verbs/read-log.ts";

const SECOND = 1000;
const HOUR = 3_600_000;

interface Started {
  readonly world: MemoryWorld;
  readonly uid: string;
  /** Calls to the cluster, in order. */
  readonly calls: readonly string[];
  shown(): Promise<string>;
}

interface Program {
  readonly ignoresTerm?: boolean;
  readonly hasCommand?: boolean;
  readonly policy?: Policy;
}

/** A job whose command prints `epoch 1`, and `saved` after SIGTERM. */
async function started(
  { ignoresTerm = false, hasCommand = true, policy = reservation }: Program = {},
  options: WorldOptions = {},
): Promise<Started> {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), ...options });
  const job = { ...newEnvironment("one", hasCommand ? { command: "train" } : {}), policy };
  const { uid } = await createEnvironment(world.as("alice"), job);
  world.compute.program(uid, { kind: "lives" }, { ignoresTerm, log: "epoch 1\n", lastWords: "saved\n" });
  await world.deliver();
  const calls: string[] = [];
  const { terminate, readLog, remove } = world.compute;
  change(world, {
    terminate: (...call) => noted(calls, "terminate", terminate(...call)),
    readLog: (...call) => noted(calls, "readLog", readLog(...call)),
    remove: (...call) => noted(calls, "remove", remove(...call)),
  });
  const shown = async () => (await readKeptLog({ ...world.as("alice"), blobs: world.blobs }, "one")).text;
  return { world, uid, calls, shown };
}

async function noted<Value>(calls: string[], name: string, answer: Promise<Value>): Promise<Value> {
  calls.push(name);
  return answer;
}

function change(world: MemoryWorld, changes: Partial<Compute>): void {
  Object.assign(world.ctx, { compute: { ...world.ctx.compute, ...changes } });
}

async function reconcileAgain(world: MemoryWorld): Promise<void> {
  await reconcile(world.ctx, await reconcileNow(world));
}

async function reconcileNow(world: MemoryWorld): Promise<ReconcileRequest> {
  return { look: keyText(toKey(await world.read("alice", "one"))), hint: true };
}

const getPhase = async (world: MemoryWorld) => (await world.read("alice", "one")).phase;

describe("the log of a command that is being ended", () => {
  test("contains the output after SIGTERM of a cancelled command", async () => {
    const { world, calls, shown } = await started();

    await requestCancel(world.as("alice"), "one");
    await world.advance(60 * SECOND);

    expect(await shown()).toBe("epoch 1\nsaved\n");
    expect(calls).toEqual(["terminate", "readLog", "remove"]);
    expect(await getPhase(world)).toBe("cancelled");
  });

  test("contains the output after SIGTERM of an expired command", async () => {
    const { world, shown } = await started();

    await world.advance(HOUR + 60 * SECOND);

    expect(await shown()).toBe("epoch 1\nsaved\n");
    expect(await getPhase(world)).toBe("expired");
  });

  test("contains the output after SIGTERM if no change is signalled", async () => {
    const { world, shown } = await started({}, { signals: false });

    await requestCancel(world.as("alice"), "one");
    await world.advance(60 * SECOND);

    expect(await shown()).toBe("epoch 1\nsaved\n");
  });

  test("is kept only after a command that ignores SIGTERM was killed", async () => {
    const { world, calls, shown } = await started({ ignoresTerm: true });
    await requestCancel(world.as("alice"), "one");
    await world.advance(9 * SECOND);
    expect(calls).not.toContain("readLog");

    await world.advance(60 * SECOND);

    expect(await shown()).toBe("epoch 1\nsaved\n");
    expect(calls.filter((call) => call !== "terminate")).toEqual(["readLog", "remove"]);
    expect(await getPhase(world)).toBe("cancelled");
  });

  test.each<[string, Program, WorldOptions]>([
    ["the setting says", {}, { settings: { graceSeconds: 120 } }],
    ["the job chose", { policy: { ...reservation, ownGraceSeconds: 120 } }, {}],
  ])("waits for a command that ignores SIGTERM as long as %s", async (_, program, options) => {
    const { world, calls, shown } = await started({ ...program, ignoresTerm: true }, options);
    await requestCancel(world.as("alice"), "one");
    await world.advance(119 * SECOND);
    expect(calls).not.toContain("readLog");
    expect(calls).not.toContain("remove");

    await world.advance(60 * SECOND);

    expect(await shown()).toBe("epoch 1\nsaved\n");
    expect(await getPhase(world)).toBe("cancelled");
  });

  test("is kept without the last output of a command that cannot get SIGTERM", async () => {
    const log = recordingLog();
    const { world, calls, shown } = await started({}, { log });
    change(world, { terminate: async () => Promise.reject(new Error("unreachable")) });

    await requestCancel(world.as("alice"), "one");
    await world.advance(20 * SECOND);

    expect(calls).toEqual(["readLog", "remove"]);
    expect(await shown()).toBe("epoch 1\n");
    expect(log.lines.map(({ event }) => event)).toContain("command not asked to end");
    await world.advance(60 * SECOND);
    expect(await getPhase(world)).toBe("cancelled");
  });

  test("is kept at once if only the removal ends a run", async () => {
    const { world, calls, shown } = await started();
    change(world, { terminate: async () => false });

    await requestCancel(world.as("alice"), "one");
    await world.deliver();

    expect(calls).toEqual(["readLog", "remove"]);
    expect(await shown()).toBe("epoch 1\n");
  });
});

describe("the log of a command whose pod is evicted", () => {
  /** Shows the run as a cluster does while the evicted pod handles SIGTERM. */
  function evict(world: MemoryWorld): void {
    const { observe } = world.ctx.compute;
    const evicted = { state: "ended", reason: "it was evicted from its machine", mayPrint: true } as const;
    change(world, {
      observe: async (...call) => {
        const seen = await observe(...call);
        return seen && { ...seen, ...evicted };
      },
    });
  }

  test("is copied each second until the pod is gone, which takes the log along", async () => {
    const { world, uid, calls, shown } = await started();
    evict(world);
    await reconcileAgain(world);
    await world.advance(2 * SECOND);

    world.compute.print(uid, 1, "saved\n");
    await world.advance(2 * SECOND);
    expect(calls).not.toContain("remove");
    await world.compute.remove(uid, 1, { graceSeconds: 0, force: true });
    await world.advance(60 * SECOND);

    expect(await shown()).toBe("epoch 1\nsaved\n");
    expect(calls).not.toContain("terminate");
    expect(await world.read("alice", "one")).toMatchObject({
      phase: "failed",
      end: { outcome: { reason: "it was evicted from its machine" } },
    });
  });

  test("is not waited for longer than its grace period", async () => {
    const { world, calls } = await started();
    evict(world);
    await reconcileAgain(world);
    await world.advance(14 * SECOND);
    expect(calls).not.toContain("remove");

    await world.advance(60 * SECOND);

    expect(calls).toContain("remove");
    expect(await getPhase(world)).toBe("failed");
  });
});

describe("a command", () => {
  test("gets SIGTERM again if the worker died before recording it", async () => {
    const { world, calls, shown } = await started({ ignoresTerm: true });
    await requestCancel(world.as("alice"), "one");
    await reconcileAgain(world);
    const dies = async () => Promise.reject(new Error("died"));
    const dying = { ...world.ctx, table: { ...world.ctx.table, put: dies } };
    await reconcile(dying, await reconcileNow(world)).catch(() => undefined);
    expect(calls).toEqual(["terminate"]);

    await world.advance(60 * SECOND);

    expect(calls.slice(0, 2)).toEqual(["terminate", "terminate"]);
    expect(calls.filter((call) => call !== "terminate")).toEqual(["readLog", "remove"]);
    expect(await shown()).toBe("epoch 1\nsaved\n");
  });

  test("gets no SIGTERM after it has ended, and its own exit code counts", async () => {
    const { world, uid, calls } = await started();
    world.compute.kill(uid, 1);

    await reconcileAgain(world);
    await world.advance(60 * SECOND);

    expect(calls).toEqual(["readLog", "remove"]);
    expect(await getPhase(world)).toBe("failed");
  });

  test("does not delay the end on a machine that does not answer", async () => {
    const { world, calls } = await started();
    world.compute.loseNode("h100-1");

    await requestCancel(world.as("alice"), "one");
    await world.deliver();

    expect(calls.slice(0, 2)).toEqual(["readLog", "remove"]);
    expect(calls).not.toContain("terminate");
  });

  test("is ended only by the removal if it has no log", async () => {
    const { world, calls } = await started({ hasCommand: false });

    await requestCancel(world.as("alice"), "one");
    await world.advance(60 * SECOND);

    expect(calls).toEqual(["remove"]);
  });
});

describe("a worker that was paused after its read", () => {
  /** Makes the first observation longer than a step may take, and records how old the read of each call is. */
  async function slowOnce(world: MemoryWorld, names: readonly ("terminate" | "tell" | "remove")[]) {
    const ages: string[] = [];
    const { compute } = world.ctx;
    const { table } = world;
    let sleepsMs = 21 * SECOND;
    let readAt = 0;
    const get = async (key: Key) => {
      readAt = world.clock.now();
      return table.get(key);
    };
    const observe = async (...call: Parameters<Compute["observe"]>) => {
      const seen = await compute.observe(...call);
      world.clock.advance(sleepsMs);
      sleepsMs = 0;
      return seen;
    };
    const aged = Object.fromEntries(
      names.map((name) => [
        name,
        async (...call: never[]) => {
          ages.push(`${name} after ${(world.clock.now() - readAt) / SECOND} s`);
          return (compute[name] as (...call: never[]) => Promise<never>)(...call);
        },
      ]),
    );
    change(world, { ...aged, observe });
    Object.assign(world.ctx, { table: { ...table, get } });
    return ages;
  }

  test("does not end a command", async () => {
    const { world } = await started();
    await requestCancel(world.as("alice"), "one");
    await reconcileAgain(world);
    const ages = await slowOnce(world, ["terminate"]);

    await reconcileAgain(world);

    expect(ages).toEqual(["terminate after 0 s"]);
  });

  test("repeats its step instead of ending the command, and logs no failure", async () => {
    const log = recordingLog();
    const { world } = await started({ hasCommand: false }, { log });
    await requestCancel(world.as("alice"), "one");
    await reconcileAgain(world);
    const ages = await slowOnce(world, ["tell", "remove"]);

    await reconcileAgain(world);

    expect(ages).toEqual(["tell after 0 s", "remove after 0 s"]);
    expect(log.lines.filter(({ level }) => level === "warn")).toEqual([]);
  });
});
