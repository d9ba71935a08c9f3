import type { Context } from "../../context.ts";
import type { Item } from "../../ports/table.ts";
import { kindOfKey } from "../../store/keys.ts";
import { readable } from "../../store/readable.ts";
import { writeRecord } from "../../store/write-record.ts";
import { nextDueAt } from "../next-due.ts";
import { parseDisk } from "../parse.ts";

const MOST_DATED = 100;

/** Sets the next reconcile of disks that lack one, as records of earlier versions may: no sweep finds them. */
export async function dateDisks(ctx: Context<"table">, items: readonly Item[], now: number): Promise<void> {
  const undated = items.filter((item) => item.dueAt === undefined && kindOfKey(item) === "disk");
  const dated = readable(ctx, undated, parseDisk).flatMap((disk) => {
    const dueAt = disk.phase === "purged" ? undefined : nextDueAt(disk, now);
    return dueAt === undefined ? [] : [{ ...disk, dueAt }];
  });
  await Promise.all(dated.slice(0, MOST_DATED).map((disk) => writeRecord(ctx, disk)));
}
