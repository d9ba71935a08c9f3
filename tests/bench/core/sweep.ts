import type { IndexQuery, PartitionQuery, Table } from "#core/ports/table.ts";
import { sweep } from "#core/reconciler/sweep.ts";
import { getDueShard } from "#core/store/due.ts";
import { memoryQueue } from "../../fakes/memory-queue.ts";
import { memoryTable } from "../../fakes/memory-table.ts";
import { manualClock } from "../../fixtures/clock.ts";
import { seededIds } from "../../fixtures/ids.ts";
import { silentLog } from "../../fixtures/log.ts";
import { testSettings } from "../../fixtures/settings.ts";
import type { Measure } from "../measure.ts";

const recordCount = 100_000;
const dueCount = 20;
/** Queries for overdue and upcoming records, in each of 16 shards. */
const queryCount = 32;
const hourMs = 3_600_000;

/** Queries and items of a sweep when almost no record is due. On DynamoDB an index query reads only what it returns. */
export const sweepCost: Measure = {
  name: "sweep",
  async run() {
    const clock = manualClock();
    const ids = seededIds(1, clock);
    const table = memoryTable();
    for (let n = 0; n < recordCount; n++) {
      const key = { pk: `owner#${n % 500}#env#gpu-dev`, sk: `job-${n}` };
      const dueAt = clock.now() + (n < dueCount ? n * 1_000 : hourMs + n);
      await table.put({ ...key, writers: ["w1"], dueShard: getDueShard(ids, key), dueAt } as Parameters<
        Table["put"]
      >[0]);
    }
    const input = countedQueries(table);
    const queue = memoryQueue({ clock });
    await sweep({ table: input.table, queue, clock, ids, log: silentLog(), settings: testSettings() });
    const { visible, delayed } = await queue.depth("work");
    const sent = visible + delayed;
    if (sent !== dueCount) throw new Error(`The sweep requested ${sent} reconciles, not ${dueCount}`);
    return [
      { name: "sweep over 100,000 records, 20 due: queries", value: input.queries(), unit: "", limit: queryCount },
      { name: "sweep over 100,000 records, 20 due: items", value: input.items(), unit: "", limit: dueCount },
    ];
  },
};

function countedQueries(table: Table) {
  let [queries, items] = [0, 0];
  const counted: Table = {
    ...table,
    async query(query: PartitionQuery | IndexQuery) {
      const page = await table.query(query);
      queries += 1;
      items += page.items.length;
      return page;
    },
  };
  return { table: counted, queries: () => queries, items: () => items };
}
