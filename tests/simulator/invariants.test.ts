import { expect, test } from "vitest";
import type { Environment } from "#core/environments/record/record.ts";
import type { Item } from "#core/ports/table.ts";
import { chatKey } from "#core/store/keys.ts";
import type { MemoryCompute } from "../fakes/memory-compute.ts";
import type { PoolView } from "../worlds/pool-view.ts";
import { chatWatch } from "./invariants/chat-invariants.ts";
import { latencyWatch } from "./invariants/latency-invariants.ts";
import { machineWatch } from "./invariants/machine-invariants.ts";
import type { Reached } from "./reached.ts";

const MINUTE = 60_000;
const uid = "a".repeat(32);

test("a ledger that names an ended run for two minutes is late, except while every host sleeps", () => {
  const { latency, violations, ...clock } = getLatency();
  latency.wroteEnvironment(holder({}), holder(null));

  clock.pass(10 * MINUTE);
  clock.sleep(8 * MINUTE);
  latency.wrotePool(naming, naming);
  expect(violations).toEqual([]);

  clock.pass(1);
  latency.wrotePool(naming, naming);
  expect(violations).toHaveLength(1);
});

test("a ledger keeps the units of an unreadable record, and its two minutes begin when that is readable", () => {
  const { latency, violations, ...clock } = getLatency();
  latency.wroteEnvironment(holder({}), holder(null));
  latency.unreadable(uid);

  clock.pass(5 * MINUTE);
  latency.wrotePool(naming, naming);
  latency.readable(holder(null));
  clock.pass(2 * MINUTE);
  latency.wrotePool(naming, naming);
  expect(violations).toEqual([]);

  clock.pass(1);
  latency.wrotePool(naming, naming);
  expect(violations).toHaveLength(1);
});

test("a record that was ended by force holds its units until the ledger releases them again", () => {
  const { latency, violations, ...clock } = getLatency();
  latency.wroteEnvironment(holder({}), holder(null));
  latency.unreadable(uid);
  latency.wroteEnvironment(holder(null), holder({}));

  clock.pass(5 * MINUTE);
  latency.wrotePool(naming, naming);
  expect(violations).toEqual([]);

  latency.wroteEnvironment(holder({}), holder(null));
  clock.pass(2 * MINUTE + 1);
  latency.wrotePool(naming, naming);
  expect(violations).toHaveLength(1);
});

test("a job that was granted twice takes no grant while the pool is closed, and its two minutes begin when it opens", () => {
  const { latency, violations, ...clock } = getLatency();
  const twice = { ...naming, held: [], granted: [entry, entry] } as unknown as PoolView;
  const closed: PoolView = { ...twice, closed: "paused" };

  for (let minutes = 0; minutes < 10; minutes++) {
    latency.wrotePool(closed, closed);
    clock.pass(MINUTE);
  }
  latency.wrotePool(closed, closed);
  clock.pass(2 * MINUTE);
  latency.wrotePool(closed, twice);
  expect(violations).toEqual([]);

  clock.pass(1);
  latency.wrotePool(twice, twice);
  expect(violations).toHaveLength(1);
});

test("a forced removal on a living machine is reported, and one of a run on no machine is not", async () => {
  const violations: string[] = [];
  const nodes = [{ uid: "node-1" }];
  const runs = [{ nodes }, { nodes: [] }];
  const compute = {
    observe: async (_: string, run: number) => runs[run],
    isMachineGone: () => false,
    remove: async () => undefined,
  } as unknown as MemoryCompute;
  const reached = { note: () => undefined } as unknown as Reached;
  const watch = machineWatch({ compute, environments: new Map(), violated: (text) => violations.push(text), reached });
  const { remove } = watch.watching(compute);

  await remove(uid, 1, { graceSeconds: 10, force: true });
  expect(violations).toEqual([]);

  await remove(uid, 0, { graceSeconds: 10, force: true });
  expect(violations).toHaveLength(1);
});

test("a sleeping worker may write a removed environment's message again, and no message is settled twice", () => {
  const { watched, violations } = chat({ outcome: {} });
  watched.wroteMessage(message("waiting"));
  watched.wroteMessage(message("delivered"));
  watched.removed(chatKey(uid, 1));

  watched.wroteMessage(message("waiting"));
  watched.wroteMessage(message("dropped"));
  expect(violations).toEqual([]);

  watched.wroteMessage(message("delivered"));
  expect(violations).toEqual(["message 1 was settled twice"]);
});

test("no message of a living environment is removed, and no removed one is settled", () => {
  const { watched, violations } = chat({ outcome: null });
  watched.wroteMessage(message("waiting"));

  watched.removed(chatKey(uid, 1));
  watched.wroteMessage(message("delivered"));

  expect(violations).toEqual(["message 1 of talks was removed", "message 1 was settled after it had been removed"]);
});

const entry = { uid, run: 1 };
const naming = { granted: [], held: [entry], setAside: [], nodes: [] } as unknown as PoolView;

function holder(grant: object | null): Environment {
  return { uid, run: { n: 1, grant }, times: {} } as Environment;
}

function getLatency() {
  const violations: string[] = [];
  let time = 0;
  let asleepMs = 0;
  const latency = latencyWatch({
    environments: new Map(),
    violated: (text) => violations.push(text),
    now: () => time,
    calmness: { awake: () => time - asleepMs, calmSince: () => 0 },
  });
  const pass = (ms: number) => {
    time += ms;
  };
  const sleep = (ms: number) => {
    asleepMs += ms;
  };
  return { latency, violations, pass, sleep };
}

function chat({ outcome }: { readonly outcome: object | null }) {
  const violations: string[] = [];
  const environments = new Map([[uid, { id: "talks", end: { outcome } } as Environment]]);
  return { watched: chatWatch({ environments, violated: (text) => violations.push(text) }), violations };
}

function message(state: string): Item {
  return {
    ...chatKey(uid, 1),
    kind: "message",
    uid,
    n: 1,
    state,
    text: state === "waiting" ? "m1" : null,
  } as unknown as Item;
}
