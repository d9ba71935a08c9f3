import { describe, expect, it } from "vitest";
import { poolKey, sweepKey } from "#core/keys.ts";
import { manualClock } from "#testing/clock.ts";
import { seededIds } from "#testing/ids.ts";
import { memoryTable } from "#testing/memory-table.ts";
import { forgetSweeps, refreshPools } from "./lost-messages.ts";

describe("after a start with an empty queue", () => {
  it("every pool there is compares what it holds at once, and none is made", async () => {
    const clock = manualClock();
    const table = memoryTable();
    const [later, before] = [clock.now() + 60_000, clock.now() - 1_000];
    const pool = { ...poolKey("h100"), kind: "pool", writers: ["w7"], held: ["x"], refreshedAt: before, dueAt: later };
    await table.put(pool, { ifWriter: null });

    await refreshPools({ table, clock, ids: seededIds() });

    expect(table.all()).toEqual([
      { ...pool, format: 1, writers: [expect.any(String), "w7"], refreshedAt: 0, dueAt: clock.now() },
    ]);
  });

  it("the first sweep sends again what the last one had sent ahead", async () => {
    const table = memoryTable();
    for (const queue of ["work", "webhooks"] as const) {
      await table.put({ ...sweepKey(queue), writers: ["w3"] }, { ifWriter: null });
    }

    await forgetSweeps({ table, ids: seededIds() });

    expect(table.all()).toEqual([]);
  });
});
