import { expect, test } from "vitest";
import type { Environment } from "#core/environments/record/record.ts";
import type { Grant, PoolNode } from "#core/pools/ledger/record.ts";
import type { PoolView } from "../../worlds/pool-view.ts";
import { newCrowd } from "./population-crowd.ts";

const LATER = 10_000;

/** A crowd at a pool of two machines, with its violations. */
function fixture() {
  const violations: string[] = [];
  const samples: (number | undefined)[] = [];
  let now = 0;
  const crowd = newCrowd({
    violated: (text) => void violations.push(text),
    now: () => now,
    granted: ({ fitsSince }) => void samples.push(fitsSince),
  });
  return { violations, samples, crowd, at: (time: number) => (now = time) };
}

function waits(uid: string, owner: string, units: number, wantedMs = 1000): Environment {
  return {
    uid,
    owner,
    id: uid,
    phase: "queued",
    queuedAt: 0,
    zone: null,
    waitPool: "h100",
    size: { pool: "h100", machines: 1, units, wantedMs },
    goal: { desired: "active" },
    end: { outcome: null, at: null },
    run: { n: 1, grant: null },
  } as unknown as Environment;
}

function entry({ uid, owner, size }: Environment, node = "h100-1"): Grant {
  const shares = [{ node, units: size.units }];
  return { id: uid, key: uid, uid, run: 1, owner, size, shares, items: [node], at: LATER };
}

function ledger(parts: Partial<PoolView> = {}): PoolView {
  const nodes = ["h100-1", "h100-2"].map((name) => ({ name, zone: "a", ready: true, units: 8, foreignUnits: 0 }));
  const empty = { type: "h100", granted: [], held: [], setAside: [], head: null, summary: { plannedAt: LATER } };
  return { ...empty, nodes: nodes as unknown as PoolNode[], ...parts } as unknown as PoolView;
}

test("an owner who holds units gets no more before a fitting job of an owner who holds none", () => {
  const { crowd, violations, at } = fixture();
  const [has, more, first] = [waits("a1", "ann", 4), waits("a2", "ann", 4), waits("b1", "bob", 4)];
  for (const environment of [has, more, first]) crowd.wroteEnvironment(environment);
  at(LATER);
  const before = ledger({ granted: [entry(has)] });
  crowd.wrotePool(undefined, before);
  expect(violations).toEqual([]);

  crowd.wrotePool(before, ledger({ granted: [entry(has), entry(more)] }));

  expect(violations).toEqual(["ann has 4 and was given more, and bob, who has 0, waits with b1 (pool h100)"]);
});

test("a job may be overtaken if it would delay the reserved start, or if the plan cannot have read it", () => {
  const { crowd, violations, at } = fixture();
  const [has, more, long] = [waits("a1", "ann", 4), waits("a2", "ann", 4), waits("b1", "bob", 4, 5000)];
  for (const environment of [has, more, long]) crowd.wroteEnvironment(environment);
  at(LATER);
  crowd.wroteEnvironment(waits("c1", "cleo", 4));
  const head = { uid: "d1", key: "d1" };
  const before = ledger({ granted: [entry(has)], head });

  crowd.wrotePool(before, ledger({ granted: [entry(has), entry(more)], head }));

  expect(violations).toEqual([]);
});

test("an owner who holds more does not get the reserved start before one who holds less", () => {
  const { crowd, violations, at } = fixture();
  const [has, big, first] = [waits("a1", "ann", 8), waits("a2", "ann", 8), waits("b1", "bob", 8)];
  for (const environment of [has, big, first]) crowd.wroteEnvironment(environment);
  at(LATER);
  const before = ledger({ granted: [entry(has)] });
  crowd.wrotePool(undefined, before);

  crowd.wrotePool(before, { ...before, head: { uid: "a2", key: "a2" } });

  expect(violations).toEqual([
    "ann has 8 and came to the reserved start with a2, and bob, who has 0, waits with b1 (pool h100)",
  ]);
});

test("units that were released while the plan was written were not free for it", () => {
  const { crowd, violations, at } = fixture();
  const [has, more, first] = [waits("a1", "ann", 8), waits("a2", "ann", 2), waits("b1", "bob", 8)];
  for (const environment of [has, more, first]) crowd.wroteEnvironment(environment);
  at(LATER);
  const held = [entry(has, "h100-1"), entry(waits("c1", "cleo", 4), "h100-2")] as unknown as PoolView["held"];
  const before = ledger({ held, head: { uid: "b1", key: "b1" } });
  crowd.wrotePool(undefined, before);

  crowd.wrotePool(before, { ...before, granted: [entry(more, "h100-2")] });

  expect(violations).toEqual([]);
});

test("the head can be granted from the moment when it fits by the records", () => {
  const { crowd, samples, at } = fixture();
  const [big, environment] = [waits("a1", "ann", 8), waits("b1", "bob", 2)];
  const holds = (grant: Environment["run"]["grant"]) =>
    ({ ...environment, phase: "active", waitPool: undefined, run: { n: 1, grant } }) as Environment;
  const taken = {
    id: "b1",
    shares: [
      { node: "h100-1", units: 2 },
      { node: "h100-2", units: 2 },
    ],
    at: 0,
  };
  crowd.wroteEnvironment(holds(taken));
  crowd.wroteEnvironment(big);
  const before = ledger({ head: { uid: "a1", key: "a1" } });
  crowd.wrotePool(undefined, before);
  expect([...crowd.fitting("h100").keys()]).toEqual([]);

  at(5000);
  crowd.wroteEnvironment(holds(null));
  at(7000);
  crowd.wrotePool(before, ledger({ granted: [entry(big)] }));

  expect(samples).toEqual([5000]);
});
