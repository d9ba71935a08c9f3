import type { Stored } from "#core/ports/table.ts";
import type { HttpWorldOptions } from "../worlds/http-world.ts";

/** Functions that throw to make a put fail, before its effect or after it, when only the answer is lost. */
export interface PutFaults {
  beforePut?: (item: Stored) => void;
  afterPut?: (item: Stored) => void;
}

/** Returns ports whose puts fail by the present faults. */
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
