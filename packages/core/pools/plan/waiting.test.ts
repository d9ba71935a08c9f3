import { expect, test } from "vitest";
import type { Context } from "#core/context.ts";
import type { IndexQuery, Item } from "#core/ports/table.ts";
import { memoryIndex } from "#tests/fakes/memory-index.ts";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { formatWaitOrder } from "../../environments/record/wait-order.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { environmentKey } from "../../store/keys.ts";
import { emptyPool, type Pool } from "../ledger/record.ts";
import { isBehind, readLines } from "../ledger/waiting-list.ts";
import { readWaiting } from "./waiting.ts";

const size = { pool: "h100", instanceType: "p5.48xlarge", machines: 1, units: 8, gpus: 8, wantedMs: 3_600_000 };
const START = Date.UTC(2026, 0, 20);

/** Returns a pool whose index has this many waiting jobs per owner, one each ms, and the queries made. */
async function poolWith(lines: Readonly<Record<string, number>>) {
  const world = await memoryWorld({ nodes: [] });
  const index = memoryIndex("waiting", { clock: undefined, random: Math.random, latenessMs: 0 });
  for (const [owner, count] of Object.entries(lines)) {
    for (let n = 0; n < count; n++) index.record(`${owner}-${n}`, entry(owner, n));
  }
  const input: { query: IndexQuery; answered: number }[] = [];
  const query: typeof world.table.query = async (value) => {
    if (!("index" in value) || value.index !== "waiting") return world.table.query(value);
    const page = index.query(value);
    input.push({ query: value, answered: page.items.length });
    return page;
  };
  return { ...world, ctx: { ...world.ctx, table: { ...world.table, query } }, index, asked: input };
}

function entry(owner: string, n: number): Item {
  const uid = `${owner}-${n}`;
  const waitOrder = formatWaitOrder({ owner, queuedAt: START + n, uid });
  return { ...environmentKey(owner, "gpu-dev", uid), writers: [], waitPool: "h100", waitOrder, uid, owner, size };
}

function getCounts(candidates: readonly { readonly owner: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { owner } of candidates) counts[owner] = (counts[owner] ?? 0) + 1;
  return counts;
}

function ownersNamed(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `owner${String(n).padStart(4, "0")}`);
}

test("reads the oldest 50 of each owner, however many jobs wait", async () => {
  const { ctx, asked: input } = await poolWith({ alice: 2_100, bob: 1, carol: 50, dave: 51 });

  const { candidates, reach } = await readLines(ctx, "h100", null, new Set());

  expect(getCounts(candidates)).toEqual({ alice: 50, bob: 1, carol: 50, dave: 50 });
  expect(candidates[49]?.uid).toBe("alice-49");
  expect(reach).toEqual({ begin: null, last: null, cut: { alice: START + 50, dave: START + 50 } });
  expect(input.length).toBeLessThanOrEqual(5);
});

test("many owners share 2,000 places equally", async () => {
  const owners = ownersNamed(100);
  const { ctx } = await poolWith(Object.fromEntries(owners.map((owner) => [owner, 60])));

  const { candidates, reach } = await readLines(ctx, "h100", null, new Set());

  expect(getCounts(candidates)).toEqual(Object.fromEntries(owners.map((owner) => [owner, 20])));
  expect(reach.cut).toEqual(Object.fromEntries(owners.map((owner) => [owner, START + 20])));
});

test("counts the skipped jobs as far as 2,000 entries reach", async () => {
  const { ctx, asked: input } = await poolWith({ alice: 400, bob: 60, carol: 3 });
  const long = await poolWith({ alice: 100_000, bob: 1 });

  const { behind } = await readLines(ctx, "h100", null, new Set());
  const counted = (await readLines(long.ctx, "h100", null, new Set())).behind;

  expect(input).toHaveLength(1);
  expect(behind).toEqual({ count: 360, units: 2_880 });
  expect(counted).toEqual({ count: 1_950, units: 15_600 });
});

test("100,000 waiting jobs of an owner cost one plan 2,000 entries, and each further owner a hundred", async () => {
  const { ctx, asked: input } = await poolWith({ alice: 100_000, bob: 1_000, carol: 1 });

  const { candidates } = await readLines(ctx, "h100", null, new Set());

  expect(getCounts(candidates)).toEqual({ alice: 50, bob: 50, carol: 1 });
  expect(input.map(({ answered }) => answered)).toEqual([2_000, 100, 1]);
});

test("jobs with capacity take no place from their owner's other jobs", async () => {
  const { ctx } = await poolWith({ alice: 300 });
  const occupied = new Set(Array.from({ length: 200 }, (_, n) => `alice-${n}`));

  const { candidates, reach } = await readLines(ctx, "h100", null, occupied);

  expect(candidates[0]?.uid).toBe("alice-200");
  expect(candidates).toHaveLength(50);
  expect(reach.cut).toEqual({ alice: START + 250 });
});

test("with more than 200 owners each plan continues after the one before, until all had a turn", async () => {
  const owners = ownersNamed(450);
  const { ctx } = await poolWith(Object.fromEntries(owners.map((owner) => [owner, 3])));
  const turns: string[][] = [];

  for (let begin: string | null = null, plans = 0; plans < 5; plans++) {
    const { candidates, reach } = await readLines(ctx, "h100", begin, new Set());
    turns.push(Object.keys(getCounts(candidates)));
    for (const owner of owners) {
      const waitOrder = formatWaitOrder({ owner, queuedAt: START, uid: "u" });
      expect(isBehind(reach, waitOrder), owner).toBe(!turns.at(-1)?.includes(owner));
    }
    begin = reach.last;
  }

  expect(turns.map((turn) => turn.length)).toEqual([200, 200, 200, 200, 200]);
  expect(new Set(turns.slice(0, 3).flat())).toEqual(new Set(owners));
  expect(turns.slice(0, 3).map((turn) => turn[0])).toEqual(["owner0000", "owner0200", "owner0400"]);
  expect(turns[2]).toContain("owner0149");
});

test("every plan reads all owners once at most 200 wait", async () => {
  const { ctx } = await poolWith(Object.fromEntries(ownersNamed(200).map((owner) => [owner, 1])));

  const { candidates, reach } = await readLines(ctx, "h100", "owner0150", new Set());

  expect(candidates).toHaveLength(200);
  expect(reach).toEqual({ begin: null, last: null, cut: {} });
});

test("skips invalid entries, however many there are", async () => {
  const { ctx, index } = await poolWith({ bob: 1 });
  const spoilt = ["", "#", "alice", "alice#soon#u", "alice#1#u#x", `${START}#u`, "~"];
  for (let n = 0; n < 700; n++) {
    index.record(`x${n}`, { ...entry("x", n), waitOrder: spoilt[n % spoilt.length] } as Item);
  }
  index.record("sizeless", { ...entry("alice", 1), size: { pool: "h100" } } as Item);

  const { candidates, reach } = await readLines(ctx, "h100", null, new Set());

  expect(candidates.map(({ uid }) => uid)).toEqual(["bob-0"]);
  expect(reach).toEqual({ begin: null, last: null, cut: {} });
});

/** Returns a pool without grants and holdings. */
function ledger(ctx: Context, head: Partial<Pool> = {}) {
  return { pool: { ...emptyPool(ctx, "h100"), ...head }, granted: [], held: [] };
}

test("considers a named record unless it is behind the part of its owner's queue that was read", async () => {
  const world = await poolWith({});
  const named = await createEnvironment(world.as("alice"), newEnvironment("named"));
  for (let n = 0; n < 60; n++) world.index.record(`a${n}`, entry(named.owner, n));
  const older = { ...named, waitOrder: formatWaitOrder({ owner: named.owner, queuedAt: START - 1, uid: named.uid }) };
  const pool = ledger(world.ctx);

  const [near, far] = [await readWaiting(world.ctx, pool, [older]), await readWaiting(world.ctx, pool, [named])];

  expect(near.candidates.map(({ uid }) => uid)).toContain(named.uid);
  expect(far.candidates.map(({ uid }) => uid)).not.toContain(named.uid);
  expect(isBehind(far.reach, named.waitOrder)).toBe(true);
});

test("a plan begins after the last owner of the plan before", async () => {
  const { ctx } = await poolWith(Object.fromEntries(ownersNamed(250).map((owner) => [owner, 1])));
  const before = { begin: null, last: "owner0199", cut: {} };

  const { candidates, reach } = await readWaiting(ctx, ledger(ctx, { reach: before }), []);

  expect(candidates[0]?.owner).toBe("owner0200");
  expect(reach).toEqual({ begin: "owner0199", last: "owner0149", cut: {} });
});

test("the first job in the queue is in every plan, although it is not its owner's turn", async () => {
  const world = await poolWith(Object.fromEntries(ownersNamed(250).map((owner) => [`z${owner}`, 1])));
  const head = await createEnvironment(world.as("~last"), newEnvironment("head"));
  const key = `${head.pk}|${head.sk}`;

  const { candidates, reach } = await readWaiting(
    world.ctx,
    ledger(world.ctx, { head: { uid: head.uid, key }, reach: { begin: null, last: "a", cut: {} } }),
    [],
  );

  expect(reach.last).toBe("zowner0199");
  expect(candidates.map(({ uid }) => uid)).toContain(head.uid);
});
