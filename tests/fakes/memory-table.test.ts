import { describe, expect, it } from "vitest";
import type { Item } from "#core/ports/table.ts";
import { tableConformance } from "../conformance/table.ts";
import { manualClock } from "../fixtures/clock.ts";
import { seededRandom } from "../fixtures/random.ts";
import { memoryTable } from "./memory-table.ts";

describe("the memory table", () => {
  tableConformance(async () => memoryTable());

  it("lists all of its items", async () => {
    const table = memoryTable();
    await table.put({ pk: "a", sk: "1", writers: ["w1"] });
    await table.put({ pk: "b", sk: "1", writers: ["w1"] });

    const all = table.all();

    expect(all.map(({ pk }) => pk)).toEqual(["a", "b"]);
  });

  it("returns frozen items if it shares them", async () => {
    const table = memoryTable({ sharesItems: "frozen" });
    await table.put({ pk: "a", sk: "1", writers: ["w1"], list: [1] } as Item);

    const [first, second] = await Promise.all([table.get({ pk: "a", sk: "1" }), table.get({ pk: "a", sk: "1" })]);

    expect(first).toBe(second);
    expect(() => Object.assign(first ?? {}, { writers: ["w2"] })).toThrow(TypeError);
    expect(() => Object.assign(first?.list ?? {}, { 0: 2 })).toThrow(TypeError);
  });
});

describe("a late index", () => {
  const lateTable = () => {
    const clock = manualClock();
    return { clock, table: memoryTable({ clock, random: seededRandom(7), indexLatenessMs: 90_000 }) };
  };
  const due = { index: "due", partition: "0" } as const;
  const item = { pk: "p", sk: "-", writers: ["w1"], dueShard: "0", dueAt: 5 };
  const later = { ...item, dueAt: 6 };

  it("misses new items in some queries, but shows them always after the lateness", async () => {
    const { clock, table } = lateTable();
    await table.put(item);
    clock.advance(45_000);

    const early = await Promise.all(Array.from({ length: 50 }, () => table.query(due)));
    clock.advance(45_000);
    const late = await Promise.all(Array.from({ length: 50 }, () => table.query(due)));

    expect(new Set(early.map(({ items }) => items.length))).toEqual(new Set([0, 1]));
    expect(late.every(({ items }) => items.length === 1)).toBe(true);
  });

  it("still shows changed or removed items, for no longer than the lateness", async () => {
    const { clock, table } = lateTable();
    await table.put(item);
    clock.advance(100_000);
    await table.put(later);
    clock.advance(30_000);
    await table.remove(item, { ifWriter: "w1" });
    clock.advance(30_000);

    const between = await Promise.all(Array.from({ length: 100 }, () => table.query(due)));
    clock.advance(60_000);
    const after = await Promise.all(Array.from({ length: 50 }, () => table.query(due)));

    expect(new Set(between.map(({ items }) => items[0]?.dueAt))).toEqual(new Set([undefined, 5, 6]));
    expect(after.every(({ items }) => items.length === 0)).toBe(true);
  });

  it("is late only for the indexes", async () => {
    const { table } = lateTable();
    await table.put(item);

    const found = await table.get(item);

    expect(found).toEqual(item);
  });
});
