import type { Context } from "../../context.ts";
import type { Item } from "../../ports/table.ts";
import { kindOfKey } from "../../store/keys.ts";
import { readable } from "../../store/readable.ts";
import { writeRecord } from "../../store/write-record.ts";
import { nextLook } from "../next-look.ts";
import { parseDisk } from "../parse.ts";

/** The comparison after this one writes the others. */
const MOST_DATED = 100;

/**
 * Writes the time of the next look into each disk among these items that lacks one and needs one: records from before an
 * upgrade may, and no sweep finds them. Whoever changed a disk meanwhile has decided on its next look too.
 */
export async function dateDisks(ctx: Context<"table">, items: readonly Item[], now: number): Promise<void> {
  const undated = items.filter((item) => item.dueAt === undefined && kindOfKey(item) === "disk");
  const dated = readable(ctx, undated, parseDisk).flatMap((disk) => {
    const dueAt = disk.phase === "purged" ? undefined : nextLook(disk, now);
    return dueAt === undefined ? [] : [{ ...disk, dueAt }];
  });
  await Promise.all(dated.slice(0, MOST_DATED).map((disk) => writeRecord(ctx, disk)));
}
