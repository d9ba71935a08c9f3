import { describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Stored, Table } from "../../ports/table.ts";
import { keyText, makeableKey, poolKey } from "../../store/keys.ts";
import { decideGrants } from "../admission/decide.ts";
import { headAfterPlan } from "../plan/head-after-plan.ts";
import { planPools } from "../plan/planner.ts";
import { buildLedger, nodeLedgerKey, readLedger, toEntry } from "./ledger.ts";
import { emptyPool, type Grant, type HeldEntry, type Ledger, type NodeLedger } from "./record.ts";
import { writeLedger } from "./write-ledger.ts";

const recordKey = keyText(poolKey("h100"));
const owner = "616c6963650000000000000000000000";

/** Returns a listed pool of machines with 8 units. */
async function getPool(count: number, type = "h100"): Promise<{ world: MemoryWorld; ledger: () => Promise<Ledger> }> {
  const world = await memoryWorld({ nodes: newNodes({ [type]: count }) });
  return { world, ledger: () => readLedger(world.ctx, emptyPool(world.ctx, type)) };
}

function grant(id: string, nodes: readonly NodeLedger[], units = 8): Grant {
  const machines = nodes.length;
  const size = { pool: "h100", instanceType: "p5.48xlarge", machines, units, gpus: machines * units, wantedMs: 60_000 };
  const shares = nodes.map(({ name }) => ({ node: name, units }));
  const uid = Buffer.from(id).toString("hex").padStart(32, "0");
  return {
    id,
    key: `owner#${owner}#env#gpu-dev|${id}`,
    uid,
    run: 1,
    owner,
    size,
    shares,
    items: nodes.map(keyText),
    at: 1,
  };
}

/** Wraps the table to do this once, before the first write of a ledger item. */
function interrupted(world: MemoryWorld, happens: () => Promise<void>): Table {
  let isOver = false;
  const first = async (items: readonly Stored[]) => {
    if (isOver || !items.some(({ pk }) => pk.startsWith("pool#h100#"))) return;
    isOver = true;
    await happens();
  };
  return {
    ...world.table,
    async put(item, options) {
      await first([item]);
      return world.table.put(item, options);
    },
    async putAll(puts) {
      await first(puts.map(({ item }) => item));
      return world.table.putAll(puts);
    },
  };
}

describe("writing a plan", () => {
  test("loses only the grants on a node that another process wrote", async () => {
    const { world } = await getPool(3);
    const jobs = await Promise.all(
      ["a", "b", "c"].map((id) => createEnvironment(world.as("alice"), newEnvironment(id))),
    );
    const table = interrupted(world, async () => {
      const [node] = (await viewPool(world.ctx, "h100"))?.nodes ?? [];
      await world.table.put({ ...node, writers: ["another"], ready: false } as never);
    });

    await planPools({ ...world.ctx, table }, [{ look: recordKey, for: jobs.map(keyText) }]);

    const pool = await viewPool(world.ctx, "h100");
    expect(pool?.granted.flatMap(({ shares }) => shares.map(({ node }) => node)).sort()).toEqual(["h100-2", "h100-3"]);
    expect((pool?.dueAt ?? 0) - world.clock.now()).toBeLessThanOrEqual(1_000);
  });

  test("loses only the grants on a node whose item the table rejects", async () => {
    const { world } = await getPool(3);
    const jobs = await Promise.all(
      ["a", "b", "c"].map((id) => createEnvironment(world.as("alice"), newEnvironment(id))),
    );
    const refused = (await viewPool(world.ctx, "h100"))?.nodes[0];
    const put: Table["put"] = async (item, options) => {
      if (item.sk === refused?.sk) throw new Error("The item has 401 KB");
      return world.table.put(item, options);
    };

    await planPools({ ...world.ctx, table: { ...world.table, put } }, [{ look: recordKey, for: jobs.map(keyText) }]);

    const pool = await viewPool(world.ctx, "h100");
    expect(pool?.granted.flatMap(({ shares }) => shares.map(({ node }) => node)).sort()).toEqual(["h100-2", "h100-3"]);
    expect((pool?.dueAt ?? 0) - world.clock.now()).toBeLessThanOrEqual(1_000);
  });

  test("grants all or none of several machines", async () => {
    const { world } = await getPool(2);
    const both = await createEnvironment(world.as("alice"), newEnvironment("both", { gpus: 16 }));
    const table = interrupted(world, async () => {
      const node = (await viewPool(world.ctx, "h100"))?.nodes[1];
      await world.table.put({ ...node, writers: ["another"] } as never);
    });

    await planPools({ ...world.ctx, table }, [{ look: recordKey, for: [keyText(both)] }]);
    const refused = (await viewPool(world.ctx, "h100"))?.nodes.map(({ granted }) => granted.length);
    await world.advance(60_000);

    expect(refused).toEqual([0, 0]);
    expect(await world.read("alice", "both")).toMatchObject({ phase: "active" });
    expect((await viewPool(world.ctx, "h100"))?.nodes.map(({ held }) => held.length)).toEqual([1, 1]);
  });

  test("leaves changes that would exceed a transaction of 25 items to the next plan", async () => {
    const { world, ledger } = await getPool(40);
    const before = await ledger();
    // A chain: each grant shares a machine with the one before.
    const chain = before.nodes.slice(1).map((node, n) => grant(`g${n}`, [before.nodes[n] as NodeLedger, node], 4));

    const { ledger: after, isPart } = await writeLedger(world.ctx, before, { ...before, granted: chain });

    expect(isPart).toBe(true);
    expect(after.granted.length).toBeGreaterThan(30);
    expect(after.granted.length).toBeLessThan(chain.length);
    const stored = await ledger();
    expect(stored.granted.map(({ id }) => id).sort()).toEqual(after.granted.map(({ id }) => id).sort());
    for (const { id, items } of stored.granted) {
      const holding = stored.nodes.filter(({ granted }) => granted.some((entry) => entry.grant === id));
      expect(holding.map(keyText).sort()).toEqual([...items].sort());
    }
  });

  test("writes nothing if nothing changes", async () => {
    const { world, ledger } = await getPool(5);
    const empty = await ledger();
    await writeLedger(world.ctx, empty, { ...empty, granted: [grant("one", [empty.nodes[0] as NodeLedger])] });
    const before = world.table.all();

    const storedLedger = await ledger();
    await writeLedger(world.ctx, storedLedger, storedLedger);

    expect(world.table.all()).toEqual(before);
  });
});

describe("the largest items (docs/architecture/table.md says how large)", () => {
  const name = `ip-10-0-101-213.${"us-gov-west-1".padEnd(14, "x")}.compute.internal`;
  const uid = "0f8fad5b-d9cb-469f-a165-70867728950e";
  const KB = 1024;

  test("a node that 32 sessions share is below 16 KB", async () => {
    const { ctx } = await memoryWorld();
    const key = nodeLedgerKey(ctx, "cpu-shared", { name, uid });
    const entry = {
      key: `owner#${owner}#env#session-manager|${"s".repeat(64)}`,
      uid: owner,
      run: 1_000_000,
      grant: owner,
      owner,
      units: 1,
      machines: 1,
      wantedMs: 86_400_000,
      at: Date.UTC(2026, 0, 1),
      unreadableSince: Date.UTC(2026, 0, 1),
    };
    const held = Array.from({ length: 32 }, () => ({ ...entry, phase: "preparing", endsAt: Date.UTC(2026, 0, 2) }));
    const node = { ...key, kind: "node", type: "cpu-shared", name, uid, providerId: `aws:///us-east-2a/${name}` };
    const writers = Array.from({ length: 8 }, () => owner);
    const rest = {
      zone: "us-east-2a",
      ready: true,
      units: 32,
      foreignUnits: 0,
      leftoverUnits: 0,
      since: 1,
      asideUntil: 1,
    };

    const bytes = Buffer.byteLength(JSON.stringify({ ...node, ...rest, writers, format: 1, granted: [], held }));

    expect(bytes).toBeLessThan(16 * KB);
  });

  test("a node that 32 sessions with the longest possible ids hold is below 16 KB", async () => {
    const world = await memoryWorld({ nodes: newNodes({ "cpu-shared": 1 }) });
    const alice = { ...world.as("alice"), dialect: "session-manager", noun: "session" };
    const ledger = () => world.table.all().find(({ kind, type }) => kind === "node" && type === "cpu-shared");

    for (let n = 0; n < 32; n++) {
      const id = String(n).padStart(64, "s");
      const labels = { team: "x".repeat(200) };
      await createEnvironment(alice, { ...newEnvironment(id, { pool: "cpu-shared", gpus: 0 }), labels });
    }
    await world.advance(60_000);

    expect(ledger()?.held).toHaveLength(32);
    expect(Buffer.byteLength(JSON.stringify(ledger()))).toBeLessThan(16 * KB);
  });

  test("a head that saw 2,000 waiting jobs and offers to 1,000 is below 384 KB", async () => {
    const { world } = await getPool(1);
    const items = [keyText(nodeLedgerKey(world.ctx, "cpu-shared", { name, uid }))];
    const seen = Array.from({ length: 2_000 }, (_, n) => String(n).padStart(32, "0"));
    const offered = Object.fromEntries(seen.slice(0, 1_000).map((name) => [name, items]));
    const cut = Object.fromEntries(seen.slice(0, 200).map((name) => [name, Date.now()]));

    const head = { ...emptyPool(world.ctx, "cpu-shared"), seen, offered, reach: { begin: owner, last: owner, cut } };

    expect(Buffer.byteLength(JSON.stringify(head))).toBeLessThan(384 * KB);
  });

  test("a head offers the grants of 1,000 items, however many machines each has", async () => {
    const { world, ledger } = await getPool(4);
    const whole = await ledger();
    const granted = Array.from({ length: 1_000 }, (_, n) => ({ ...grant(`g${n}`, whole.nodes), at: n }));
    const decision = await decideGrants(world.ctx, { ...whole, granted: [] }, [], [], world.clock.now());

    const written = { ledger: { ...whole, granted }, isPart: false };
    const { offered } = headAfterPlan(world.ctx, whole.pool, decision, written, world.clock.now());

    expect(Object.keys(offered)).toEqual(granted.slice(0, 250).map(({ uid }) => uid));
  });
});

test("a pool of 10,000 nodes and 80,000 units plans, grants and answers what is free", async () => {
  const { world, ledger } = await getPool(10_000);
  const empty = await ledger();
  const wholes = empty.nodes.slice(0, 9_900).map((node, n) => grant(`h${n}`, [node]));
  const held = wholes.map((whole) => ({ ...whole, phase: "active" as const, endsAt: world.clock.now() + 3_600_000 }));
  const table = { ...world.table };
  await Promise.all(
    held.map((item, n) => {
      const node = empty.nodes[n] as NodeLedger;
      const { id, key, uid, run, at, size } = item;
      const entry = { key, uid, run, grant: id, owner, units: 8, machines: 1, wantedMs: size.wantedMs, at };
      return table.put({ ...node, held: [{ ...entry, phase: "active", endsAt: item.endsAt }] } as never);
    }),
  );
  const waits = await createEnvironment(world.as("bob"), newEnvironment("waits"));
  const largest = Math.max(...world.table.all().map((item) => JSON.stringify(item).length));
  let written = 0;
  const counted: Table = {
    ...world.table,
    async put(item, options) {
      written += 1;
      return world.table.put(item, options);
    },
  };

  world.clock.advance(60_000);
  await planPools({ ...world.ctx, table: counted }, [{ look: recordKey, for: [keyText(waits)] }]);

  const pool = await viewPool(world.ctx, "h100");
  expect(pool?.granted.map(({ uid }) => uid)).toEqual([waits.uid]);
  expect(largest).toBeLessThan(16 * 1024);
  // The first sixteenth of the holdings is dropped, because its records are missing.
  expect(pool?.held.length).toBeLessThan(9_900);
  expect(pool?.held.length).toBeGreaterThan(9_900 - 700);
  expect(pool?.summary).toMatchObject({ total: 80_000, waiting: 1 });
  expect(written).toBeLessThan(9_900 - (pool?.held.length ?? 0) + 10);
});

test("plans with a ledger whose partitions have several pages as a whole", async () => {
  const { world } = await getPool(400);
  const waits = await createEnvironment(world.as("bob"), newEnvironment("waits"));
  let pages = 0;
  const paged: Table = {
    ...world.table,
    async query(input) {
      if ("index" in input || !input.pk.startsWith("pool#h100#")) return world.table.query(input);
      pages += 1;
      return world.table.query({ ...input, limit: 10 });
    },
  };

  world.clock.advance(60_000);
  await planPools({ ...world.ctx, table: paged }, [{ look: recordKey, for: [keyText(waits)] }]);

  expect((await viewPool(world.ctx, "h100"))?.summary).toMatchObject({ total: 3_200, free: 3_192 });
  expect(pages).toBeGreaterThan(16);
});

test("stores grants on machines still to be created in a separate item", async () => {
  const { world } = await getPool(1);

  expect(keyText((await readLedger(world.ctx, emptyPool(world.ctx, "h100"))).makeable)).toBe(
    keyText(makeableKey("h100")),
  );
});

test("compares only the entries of the changed machine out of 1,000", async () => {
  const { world } = await getPool(0);
  const names: string[] = [];
  const nodes = Array.from({ length: 1_000 }, (_, n): NodeLedger => {
    const name = `n${n}`;
    const key = nodeLedgerKey(world.ctx, "h100", { name, uid: name });
    const machine = { name, uid: name, providerId: null, zone: "a", ready: true, since: 0 };
    const units = { units: 8, foreignUnits: 0, leftoverUnits: 0 };
    const item: NodeLedger = {
      ...key,
      writers: [],
      kind: "node",
      type: "h100",
      ...machine,
      ...units,
      granted: [],
      held: [],
    };
    const entry = { ...toEntry(grant(`held-${n}`, [item], 4)), phase: "active" as const, endsAt: 9 };
    return { ...item, held: [entry] };
  });
  const noting = nodes.map((node) => ({
    ...node,
    get held() {
      names.push(node.name);
      return node.held;
    },
  }));
  const makeable = {
    ...makeableKey("h100"),
    writers: [],
    kind: "makeable",
    type: "h100",
    granted: [],
    held: [],
  } as const;
  const before = buildLedger(emptyPool(world.ctx, "h100"), noting, makeable);
  const [first] = before.nodes;
  names.length = 0;

  const wanted = { ...before, granted: [grant("new", first ? [first] : [], 4)] };
  const { ledger, isPart } = await writeLedger(world.ctx, before, wanted);

  expect(new Set(names)).toEqual(new Set([first?.name]));
  expect([ledger.granted.length, ledger.held.length, isPart]).toEqual([1, 1_000, false]);
});

test.each<[string, (entry: HeldEntry) => Pick<NodeLedger, "granted" | "held">[]]>([
  [
    "one item names as granted and as held",
    ({ phase, endsAt, ...entry }) => [
      { granted: [entry], held: [{ ...entry, phase, endsAt }] },
      { granted: [], held: [{ ...entry, phase, endsAt }] },
    ],
  ],
  [
    "the items of its two machines tell apart",
    (entry) => [
      { granted: [], held: [{ ...entry, endsAt: 5 }] },
      { granted: [], held: [entry] },
    ],
  ],
])("a holding that %s is the same in all of its items after a plan without changes", async (_, listEntries) => {
  const { world, ledger } = await getPool(2);
  const { nodes } = await ledger();
  const entry: HeldEntry = { ...toEntry(grant("torn", nodes)), phase: "active", endsAt: 9 };
  const torn = listEntries(entry).map((entries, index) => ({ ...nodes[index], ...entries }) as NodeLedger);
  for (const item of torn) await world.table.put(item);
  const before = await ledger();

  await writeLedger(world.ctx, before, before);

  const after = (await ledger()).nodes;
  expect(after.map(({ granted, held }) => [granted, held])).toEqual(nodes.map(() => [[], [entry]]));
});
