import { beforeEach, describe, expect, it } from "vitest";
import type { Item, Key, Page, PartitionQuery, Stored, Table } from "#core/ports/table.ts";
import { Conflict } from "#core/problem.ts";
import { NO_WRITER } from "#core/store/writers.ts";
import { seededRandom } from "../fixtures/random.ts";

let partitionCount = 0;

/**
 * Conformance tests of Table. `open` may return the same table each time, because tests use separate partitions. A
 * server that mixes overlapping writes skips only their tests.
 */
export function tableConformance(open: () => Promise<Table>, { isolatesWrites = true } = {}): void {
  let table: Table;
  let pk: string;

  beforeEach(async () => {
    table = await open();
    pk = `conformance#${process.pid}#${Date.now()}#${++partitionCount}`;
  });

  const key = (sk = "-"): Key => ({ pk, sk });
  const item = (fields: Record<string, unknown> = {}, sk = "-", writer = "w1"): Stored => ({
    pk,
    sk,
    writers: [writer],
    ...fields,
  });

  writerRules(() => table, key, item);
  transactions(() => table, key, item);
  if (isolatesWrites) overlappingWrites(() => table, key, item);
  if (isolatesWrites) overlappingTransactions(() => table, key, item);
  roundTrips(() => table, key, item);
  partitionQueries(
    () => table,
    () => pk,
    item,
  );
  indexQueries(
    () => table,
    () => pk,
    key,
    item,
  );
}

type MakeKey = (sk?: string) => Key;
type MakeItem = (fields?: Record<string, unknown>, sk?: string, writer?: string) => Stored;

function writerRules(table: () => Table, key: MakeKey, item: MakeItem): void {
  describe("conditions", () => {
    it("finds no item under a key that was never written", async () => {
      const found = await table().get(key());

      expect(found).toBeUndefined();
    });

    it("writes a new item once if it must be absent", async () => {
      await table().put(item({ a: 1 }), { ifWriter: null });

      await expect(table().put(item({ a: 2 }), { ifWriter: null })).rejects.toThrow(Conflict);
      expect(await table().get(key())).toEqual(item({ a: 1 }));
    });

    it("replaces the whole item if its newest writer was named", async () => {
      await table().put(item({ a: 1, b: 1 }), { ifWriter: null });

      await table().put(item({ a: 2 }, "-", "w2"), { ifWriter: "w1" });

      expect(await table().get(key())).toEqual(item({ a: 2 }, "-", "w2"));
    });

    it("refuses a write that names another writer, or a writer of a missing item", async () => {
      await table().put(item({}, "-", "w5"));

      await expect(table().put(item({}, "-", "w5"), { ifWriter: "w4" })).rejects.toThrow(Conflict);
      await expect(table().put(item({}, "absent", "w2"), { ifWriter: "w1" })).rejects.toThrow(Conflict);
      expect(await table().get(key("absent"))).toBeUndefined();
    });

    it("writes unconditionally if no writer is named", async () => {
      await table().put(item({ a: 1 }, "-", "w7"));

      await table().put(item({ a: 2 }, "-", "w3"));

      expect(await table().get(key())).toEqual(item({ a: 2 }, "-", "w3"));
    });

    it("removes only an item whose newest writer is named", async () => {
      await table().put(item({}, "-", "w2"));

      await expect(table().remove(key(), { ifWriter: "w1" })).rejects.toThrow(Conflict);
      await table().remove(key(), { ifWriter: "w2" });

      expect(await table().get(key())).toBeUndefined();
      await expect(table().remove(key(), { ifWriter: "w2" })).rejects.toThrow(Conflict);
    });

    it.each(Object.entries(editedAway))(
      "returns writers that are %s as empty, which can be named once",
      async (_, writers) => {
        const edited = { ...key(), a: 1, ...(writers !== undefined && { writers }) } as unknown as Stored;
        await table().put(edited);

        const storedItem = await table().get(key());
        const [ofMany] = await table().getMany([key()]);
        const { items } = await table().query({ pk: storedItem?.pk ?? "" });
        await expect(table().put(item({ a: 2 }), { ifWriter: null })).rejects.toThrow(Conflict);
        await table().put(item({ a: 3 }), { ifWriter: NO_WRITER });

        expect([storedItem, ofMany, ...items].map((each) => each?.writers)).toEqual([
          [NO_WRITER],
          [NO_WRITER],
          [NO_WRITER],
        ]);
        await expect(table().put(item({ a: 4 }), { ifWriter: NO_WRITER })).rejects.toThrow(Conflict);
        await expect(table().remove(key(), { ifWriter: NO_WRITER })).rejects.toThrow(Conflict);
        expect(await table().get(key())).toEqual(item({ a: 3 }));
      },
    );

    it("removes an item without writers if none is named, but not an absent item", async () => {
      await table().put({ ...key(), writers: [] });

      await table().remove(key(), { ifWriter: NO_WRITER });

      expect(await table().get(key())).toBeUndefined();
      await expect(table().remove(key(), { ifWriter: NO_WRITER })).rejects.toThrow(Conflict);
      await expect(table().put(item(), { ifWriter: NO_WRITER })).rejects.toThrow(Conflict);
    });
  });
}

function transactions(table: () => Table, key: MakeKey, item: MakeItem): void {
  const many = (count: number, writer = "w1") =>
    Array.from({ length: count }, (_, n) => ({ item: item({ n }, `sk-${n}`, writer), ifWriter: null }));
  const found = async (count: number) => {
    const keys = Array.from({ length: count }, (_, n) => key(`sk-${n}`));
    return (await table().getMany(keys)).sort((a, b) => Number(a.n) - Number(b.n));
  };

  describe("items that are written together", () => {
    it("are all written, new ones and those whose newest writer was named", async () => {
      await table().put(item({ old: true }, "old", "w7"));

      await table().putAll([...many(24), { item: item({ old: false }, "old", "w8"), ifWriter: "w7" }]);

      expect(await found(24)).toEqual(many(24).map((put) => put.item));
      expect(await table().get(key("old"))).toEqual(item({ old: false }, "old", "w8"));
    });

    it.each([
      ["a writer that is another's by now", { item: item({ changed: 1 }, "old", "w9"), ifWriter: "w6" }],
      ["an item that shall be absent and is not", { item: item({ changed: 1 }, "old", "w9"), ifWriter: null }],
      ["a writer of an item that is absent", { item: item({ changed: 1 }, "absent", "w9"), ifWriter: "w6" }],
    ])("all stay unchanged if one condition fails: %s", async (_, failing) => {
      const ownValue = { ...failing, item: { ...failing.item, pk: key().pk } };
      await table().put(item({ old: true }, "old", "w7"));

      await expect(table().putAll([...many(2), ownValue, { item: item({}, "last"), ifWriter: null }])).rejects.toThrow(
        Conflict,
      );

      const keys = ["sk-0", "sk-1", "last", "absent"].map(key);
      expect(await table().getMany(keys)).toEqual([]);
      expect(await table().get(key("old"))).toEqual(item({ old: true }, "old", "w7"));
    });

    it("all stay unchanged if one is too large or has an invalid number", async () => {
      for (const value of [unpackable(600_000), Number.NaN]) {
        await expect(table().putAll([...many(2), { item: item({ value }, "bad"), ifWriter: null }])).rejects.toThrow();
      }

      expect(await found(2)).toEqual([]);
    });

    it("are refused without a write if there are 26, or one is named twice", async () => {
      const twice = [...many(1), ...many(1)];

      await expect(table().putAll(many(26))).rejects.toThrow();
      await expect(table().putAll(twice)).rejects.toThrow();
      await table().putAll([]);

      expect(await found(26)).toEqual([]);
    });

    it("write a single item like a put", async () => {
      await table().putAll([{ item: item({ a: 1 }), ifWriter: null }]);

      await expect(table().putAll([{ item: item({ a: 2 }), ifWriter: null }])).rejects.toThrow(Conflict);
      expect(await table().get(key())).toEqual(item({ a: 1 }));
    });
  });
}

function overlappingWrites(table: () => Table, key: MakeKey, item: MakeItem): void {
  describe("concurrent writes", () => {
    it("let one of 20 writers of a new item win", async () => {
      const writes = Array.from({ length: 20 }, (_, n) =>
        table()
          .put(item({ n }), { ifWriter: null })
          .then(() => n),
      );

      const { won, conflicts } = await getRace(writes);

      expect(conflicts).toBe(19);
      expect(await table().get(key())).toEqual(item({ n: won }));
    });

    it("let one of 20 writers of the same item win", async () => {
      await table().put(item());
      const writes = Array.from({ length: 20 }, (_, n) =>
        table()
          .put(item({ n }, "-", "w2"), { ifWriter: "w1" })
          .then(() => n),
      );

      const { won, conflicts } = await getRace(writes);

      expect(conflicts).toBe(19);
      expect(await table().get(key())).toEqual(item({ n: won }, "-", "w2"));
    });
  });
}

function overlappingTransactions(table: () => Table, key: MakeKey, item: MakeItem): void {
  describe("concurrent writes of several items", () => {
    it("let one of 20 writers of two items win completely", async () => {
      await table().putAll([
        { item: item({ n: -1 }, "a", "w1"), ifWriter: null },
        { item: item({ n: -1 }, "b", "w1"), ifWriter: null },
      ]);
      const writes = Array.from({ length: 20 }, (_, n) => {
        const order = n % 2 === 0 ? ["a", "b"] : ["b", "a"];
        const puts = order.map((sk) => ({ item: item({ n }, sk, "w2"), ifWriter: "w1" }));
        return table()
          .putAll(puts)
          .then(() => n);
      });

      const { won, conflicts } = await getRace(writes);

      expect(conflicts).toBe(19);
      const [a, b] = [await table().get(key("a")), await table().get(key("b"))];
      expect([a?.n, b?.n]).toEqual([won, won]);
    });

    it("never show a write that is rolled back", async () => {
      await table().put(item({ n: 0 }, "a", "w1"));
      const puts = ["a", "b"].map((sk) => ({ item: item({ n: 1 }, sk, "w2"), ifWriter: "w1" }));

      const reads = new Set<unknown>();
      let isOver = false;
      const race = getRace(
        Array.from({ length: 10 }, (_, n) =>
          table()
            .putAll(puts)
            .then(() => n),
        ),
      );
      const over = race.finally(() => {
        isOver = true;
      });
      while (!isOver) {
        reads.add((await table().get(key("a")))?.n);
        await new Promise(setImmediate);
      }

      expect(await over).toEqual({ won: undefined, conflicts: 10 });
      expect(reads).toEqual(new Set([0]));
    });
  });
}

/** Values of `writers` that an edit by hand may leave. */
const editedAway: Readonly<Record<string, unknown>> = {
  "an empty list": [],
  absent: undefined,
  null: null,
  "a text": "w1",
  "a number": 7,
  "an object": { newest: "w1" },
  "a list of no texts": [7, "w1"],
  "a list of an empty text": [""],
};

async function getRace(writes: Promise<number>[]): Promise<{ won: number | undefined; conflicts: number }> {
  const results = await Promise.allSettled(writes);
  const winners = results.filter((result) => result.status === "fulfilled");
  const conflicts = results.filter((result) => result.status === "rejected" && result.reason instanceof Conflict);
  return { won: winners[0]?.value, conflicts: conflicts.length };
}

function roundTrips(table: () => Table, key: MakeKey, item: MakeItem): void {
  const values: Record<string, unknown> = {
    "an empty string": "",
    null: null,
    booleans: [true, false],
    "an empty list": [],
    "an empty object": {},
    nesting: { a: [{ b: [[1], { c: null }] }] },
    unicode: "Zoë 🚀 \u0000 \u2028 漢字 e\u0301",
    "field names of any kind": { "a.b": 2, "#x": 3, ":y": 4, "🚀": 5, size: 6 },
    "numbers at their limits": [0, -1, 0.1, 1e-7, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 1.7e12, 1 / 3],
    "text over 8 KB": "x€".repeat(5_000),
    "an object over 64 KB": Array.from({ length: 2_000 }, (_, n) => ({ n, text: `entry ${n} of many`, none: null })),
  };

  describe("round trips", () => {
    it.each(Object.entries(values))("returns %s unchanged", async (_, value) => {
      await table().put(item({ value }));

      expect(await table().get(key())).toStrictEqual(item({ value }));
      expect((await table().getMany([key()]))[0]).toStrictEqual(item({ value }));
    });

    it("drops undefined fields, at every depth", async () => {
      await table().put(item({ gone: undefined, kept: { gone: undefined, a: 1 } }));

      expect(await table().get(key())).toStrictEqual(item({ kept: { a: 1 } }));
    });

    it("refuses invalid numbers", async () => {
      await expect(table().put(item({ value: Number.NaN }))).rejects.toThrow();
      await expect(table().put(item({ value: [Number.POSITIVE_INFINITY] }))).rejects.toThrow();
      await expect(table().put(item({ value: Number.NaN, text: "x".repeat(9_000) }))).rejects.toThrow();
    });

    it("refuses an item above 400 KB, however well it compresses, and keeps the previous one", async () => {
      await table().put(item({ value: "small" }));

      await expect(table().put(item({ value: unpackable(600_000) }, "-", "w2"))).rejects.toThrow(/at most 400 KB/);

      expect(await table().get(key())).toEqual(item({ value: "small" }));
    });

    it("accepts an item just below 400 KB", async () => {
      const value = unpackable(390_000);
      await table().put(item({ value }));

      expect(await table().get(key())).toStrictEqual(item({ value }));
    });

    it("keeps fields that do not fit an index as plain data", async () => {
      const unfit = { dueShard: null, dueAt: "soon", waitPool: "", waitOrder: 4 };

      await table().put(item(unfit));

      expect(await table().get(key())).toStrictEqual(item(unfit));
    });

    it("shares no object with its callers", async () => {
      const written = item({ list: [1] });
      await table().put(written);
      const result = (await table().get(key())) as Item & { list: number[] };

      result.list.push(2);
      (written as Item & { list: number[] }).list.push(3);

      expect(await table().get(key())).toEqual(item({ list: [1] }));
    });

    it("distinguishes keys of any text", async () => {
      const keys = ["a", "a#b", "a|b", "Ä", "🚀", "a b", "-"].map((sk) => key(sk));
      await Promise.all(keys.map((each) => table().put(item({ own: each.sk }, each.sk))));

      const found = await Promise.all(keys.map((each) => table().get(each)));

      expect(found.map((each) => each?.own)).toEqual(keys.map(({ sk }) => sk));
    });

    it("reads many items at once, leaves out absent ones and returns a repeated key once", async () => {
      const keys = Array.from({ length: 230 }, (_, n) => key(`n${n}`));
      await Promise.all(keys.map((each) => table().put(item({ fill: "x".repeat(300) }, each.sk))));

      const found = await table().getMany([...keys, key("absent"), key("n0")]);

      expect(found.map(({ sk }) => sk).sort()).toEqual(keys.map(({ sk }) => sk).sort());
      expect(await table().getMany([])).toEqual([]);
    });
  });
}

function partitionQueries(table: () => Table, pk: () => string, item: MakeItem): void {
  const fill = (count: number, fields: Record<string, unknown> = {}) =>
    Promise.all(Array.from({ length: count }, (_, n) => table().put(item(fields, getSk(n)))));

  describe("queries of a partition", () => {
    it("returns no items of an unknown partition", async () => {
      expect(await table().query({ pk: pk() })).toEqual({ items: [] });
    });

    it("returns new items completely and in the order of the sort key", async () => {
      await Promise.all(["b", "a", "c"].map((sk) => table().put(item({ own: sk }, sk))));
      await table().put({ pk: `${pk()}#spec`, sk: "a", writers: ["w1"] });

      const { items } = await table().query({ pk: pk() });

      expect(items).toEqual(["a", "b", "c"].map((sk) => item({ own: sk }, sk)));
    });

    it("reverses the order for the newest first", async () => {
      await fill(3);

      const { items } = await table().query({ pk: pk(), newestFirst: true });

      expect(items.map(({ sk }) => sk)).toEqual([getSk(2), getSk(1), getSk(0)]);
    });

    it.each([false, true])("pages without gaps or repetitions, newest first %s", async (newestFirst) => {
      await fill(10);
      const expected = Array.from({ length: 10 }, (_, n) => getSk(n));

      const pages = await allPages(table(), { pk: pk(), limit: 3, newestFirst });

      expect(pages.every(({ items }) => items.length <= 3)).toBe(true);
      const order = pages.flatMap(({ items }) => items.map(({ sk }) => sk));
      expect(order).toEqual(newestFirst ? expected.toReversed() : expected);
    });

    it.each([false, true])("lists only items with a prefix, in pages, newest first %s", async (newestFirst) => {
      await Promise.all(["a-1", "a-2", "a-3", "a", "ab", "b-1"].map((sk) => table().put(item({}, sk))));

      const pages = await allPages(table(), { pk: pk(), prefix: "a-", limit: 2, newestFirst });

      const found = pages.flatMap(({ items }) => items.map(({ sk }) => sk));
      expect(found).toEqual(newestFirst ? ["a-3", "a-2", "a-1"] : ["a-1", "a-2", "a-3"]);
    });

    it("returns the fields that lists sort and filter by, even of large items, page by page", async () => {
      const brief = { kind: "k", uid: "u", name: "n", phase: "active", step: null, createdAt: 5, ttl: 9 };
      const end = { at: 7, outcome: null };
      for (const [n, rest] of [{}, { text: "x".repeat(9_000) }, { log: ["y"] }].entries()) {
        await table().put(item({ ...brief, end: { ...end, backup: "b" }, ...rest }, getSk(n)));
      }
      await table().put(item({ phase: "queued", end: "never" }, getSk(3)));

      const pages = await allPages(table(), { pk: pk(), brief: true, limit: 2, newestFirst: true });

      const whole = [2, 1, 0].map((n) => ({ pk: pk(), sk: getSk(n), writers: [], ...brief, end }));
      const part = { pk: pk(), sk: getSk(3), writers: [], phase: "queued" };
      expect(pages.flatMap(({ items }) => items)).toEqual([part, ...whole]);
      expect(pages.map(({ items }) => items.length)).toEqual(expect.arrayContaining([2]));
    });

    it("continues after a cursor whose item was removed meanwhile", async () => {
      await fill(4);
      const { next } = await table().query({ pk: pk(), limit: 2 });
      await table().remove({ pk: pk(), sk: getSk(1) }, { ifWriter: "w1" });

      const { items } = await table().query({ pk: pk(), ...(next === undefined ? {} : { after: next }) });

      expect(items.map(({ sk }) => sk)).toEqual([getSk(2), getSk(3)]);
    });

    it("ends a page at about 1 MB without a limit", async () => {
      await fill(200, { fill: "x".repeat(7_500) });

      const pages = await allPages(table(), { pk: pk() });

      expect(pages.length).toBe(2);
      expect(pages.flatMap(({ items }) => items)).toHaveLength(200);
    });
  });
}

function indexQueries(table: () => Table, pk: () => string, key: MakeKey, item: MakeItem): void {
  const shard = () => `shard of ${pk()}`;
  const due = (dueAt: number) => ({ dueShard: shard(), dueAt, secret: "not projected" });
  const waiting = (waitOrder: string) => ({ waitPool: shard(), waitOrder, uid: "u", owner: "o", secret: "no" });

  describe("indexes", () => {
    it("contain only items with both fields, and only their projected fields", async () => {
      await table().put(item(due(50), "in"));
      await table().put(item({ dueShard: shard() }, "no sort"));
      await table().put(item({ dueAt: 50 }, "no partition"));

      const { items } = await table().query({ index: "due", partition: shard() });

      expect(items).toEqual([{ pk: pk(), sk: "in", writers: [], dueShard: shard(), dueAt: 50 }]);
    });

    it("list by the sort value up to and including `to`", async () => {
      await Promise.all([300, 9, 100].map((at) => table().put(item(due(at), `at ${at}`))));

      const { items } = await table().query({ index: "due", partition: shard(), to: 100 });

      expect(items.map(({ sk }) => sk)).toEqual(["at 9", "at 100"]);
    });

    it("list by the sort value from and including `from`, with and without an upper bound", async () => {
      await Promise.all([300, 9, 100, 200].map((at) => table().put(item(due(at), `at ${at}`))));
      const query = { index: "due", partition: shard(), from: 100 } as const;

      const { items } = await table().query(query);
      const pages = await allPages(table(), { ...query, to: 200, limit: 1 });

      expect(items.map(({ sk }) => sk)).toEqual(["at 100", "at 200", "at 300"]);
      expect(pages.flatMap((page) => page.items.map(({ sk }) => sk))).toEqual(["at 100", "at 200"]);
    });

    it("accept texts as bounds of a range, which may be empty", async () => {
      const orders = ["a#1", "a#2", "a2#1", "b#1"];
      await Promise.all(orders.map((order) => table().put(item(waiting(order), order))));
      const query = { index: "waiting", partition: shard() } as const;

      const ofOne = await table().query({ ...query, from: "a#", to: "a$" });
      const rest = await table().query({ ...query, from: "a$" });
      const none = await table().query({ ...query, from: "a$", to: "a$" });

      expect([ofOne, rest, none].map(({ items }) => items.map(({ sk }) => sk))).toEqual([
        ["a#1", "a#2"],
        ["a2#1", "b#1"],
        [],
      ]);
    });

    it("follow an item that is moved, loses its fields or is removed", async () => {
      await table().put(item(due(1)));
      await table().put(item(due(2)));
      const moved = await table().query({ index: "due", partition: shard() });
      await table().put(item({}));
      const left = await table().query({ index: "due", partition: shard() });
      await table().put(item(due(3)));
      await table().remove(key(), { ifWriter: "w1" });
      const removed = await table().query({ index: "due", partition: shard() });

      expect(moved.items.map((each) => each.dueAt)).toEqual([2]);
      expect([left.items, removed.items]).toEqual([[], []]);
    });

    it("project the fields of waiting items that the planner reads, even of items over 8 KB", async () => {
      const rest = { size: 4, zone: "z1", createdAt: 7 };
      await table().put(item({ ...waiting("002"), ...rest, log: "long ".repeat(4_000) }, "long"));
      await table().put(item({ ...waiting("001"), uid: "w" }, "short"));

      const { items } = await table().query({ index: "waiting", partition: shard() });

      const projected = { pk: pk(), writers: [], waitPool: shard(), owner: "o" };
      expect(items).toEqual([
        { ...projected, sk: "short", waitOrder: "001", uid: "w" },
        { ...projected, ...rest, sk: "long", waitOrder: "002", uid: "u" },
      ]);
    });

    it("end a page at about 1 MB without a limit", async () => {
      const fields = (n: number) => ({ ...waiting(getSk(n)), zone: "x".repeat(7_500) });
      await Promise.all(Array.from({ length: 200 }, (_, n) => table().put(item(fields(n), getSk(n)))));

      const pages = await allPages(table(), { index: "waiting", partition: shard() });

      expect(pages.length).toBe(2);
      expect(pages.flatMap(({ items }) => items.map(({ sk }) => sk))).toHaveLength(200);
    });

    it("count the entries of a range, up to the limit", async () => {
      const orders = ["a#1", "a#2", "a#3", "b#1"];
      await Promise.all(orders.map((order) => table().put(item(waiting(order), order))));
      const range = { index: "waiting", partition: shard(), from: "a#", to: "a$" } as const;

      const counts = await Promise.all([
        table().count({ ...range, limit: 2 }),
        table().count({ ...range, limit: 3 }),
        table().count({ ...range, limit: 100 }),
        table().count({ ...range, partition: "nobody's", limit: 100 }),
      ]);

      expect(counts).toEqual([2, 3, 3, 0]);
    });

    it("count more entries than fit into one page", async () => {
      const fields = (n: number) => ({ ...waiting(getSk(n)), zone: "x".repeat(7_500) });
      await Promise.all(Array.from({ length: 200 }, (_, n) => table().put(item(fields(n), getSk(n)))));

      const count = await table().count({ index: "waiting", partition: shard(), limit: 190 });

      expect(count).toBe(190);
    });

    it("page through entries of the same sort value", async () => {
      await Promise.all(Array.from({ length: 7 }, (_, n) => table().put(item(due(5), getSk(n)))));

      const pages = await allPages(table(), { index: "due", partition: shard(), limit: 2 });

      const found = pages.flatMap(({ items }) => items.map(({ sk }) => sk)).sort();
      expect(found).toEqual(Array.from({ length: 7 }, (_, n) => getSk(n)));
    });
  });
}

/** Returns a text of this length that compresses to three quarters. */
function unpackable(length: number): string {
  const random = seededRandom(1);
  return Array.from({ length }, () => LETTERS[Math.floor(random() * LETTERS.length)]).join("");
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

type AnyQuery = Parameters<Table["query"]>[0] | PartitionQuery;

async function allPages(table: Table, query: AnyQuery): Promise<Page[]> {
  const first = await table.query(query);
  const pages = [first];
  for (let next = first.next; next !== undefined && pages.length < 100; next = pages.at(-1)?.next) {
    pages.push(await table.query({ ...query, after: next }));
  }
  return pages.filter(({ items }) => items.length > 0);
}

function getSk(n: number): string {
  return `n${String(n).padStart(4, "0")}`;
}
