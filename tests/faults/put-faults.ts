import type { Stored } from "#core/ports/table.ts";
import type { HttpWorldOptions } from "../worlds/http-world.ts";

/** What throws makes the put fail: before it has its effect, or after, as where only its answer was lost. */
export interface PutFaults {
  beforePut?: (item: Stored) => void;
  afterPut?: (item: Stored) => void;
}

/** The ports of a world whose puts fail as these faults say at the time. */
export function withPutFaults(faults: PutFaults): NonNullable<HttpWorldOptions["wrap"]> {
  return (ports) => ({
    ...ports,
    table: {
      ...ports.table,
      put: async (item, options) => {
        faults.beforePut?.(item);
        await ports.table.put(item, options);
        faults.afterPut?.(item);
      },
    },
  });
}
