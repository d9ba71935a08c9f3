import type { UserContext } from "../context.ts";
import type { Key } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { requestReconcile } from "../reconciler/request-reconcile.ts";
import { deliveriesPartition } from "../store/keys.ts";
import { readable } from "../store/readable.ts";
import { changeRecord } from "../store/write-record.ts";
import { type Delivery, parseDelivery } from "./delivery.ts";
import { formatEventId } from "./event.ts";

export interface DeliveryFilter {
  readonly limit: number;
  readonly after?: string | undefined;
  readonly environment?: string | undefined;
}

export interface DeliveryPage {
  readonly deliveries: readonly Delivery[];
  readonly next: string | null;
}

/** Items read per page at most, so a filtered page may be shorter than its limit. Skipped newer items do not count. */
const MOST_READ = 1000;
const QUERY_SIZE = 200;

/** Lists the caller's deliveries across all dialects, newest event first. Throws `invalid` for a bad `after`. */
export async function listDeliveries(
  ctx: UserContext<"table">,
  { limit, after, environment }: DeliveryFilter,
): Promise<DeliveryPage> {
  const before = after === undefined ? undefined : findSortKey(after);
  if (after !== undefined && before === undefined) throw new Problem("invalid", "after must be the id of a delivery");
  const found: Delivery[] = [];
  let last: Key | undefined;
  let cursor: string | undefined;
  for (let readCount = 0; readCount < MOST_READ && found.length <= limit; ) {
    const query = { pk: deliveriesPartition(ctx.actor.uid), newestFirst: true, limit: QUERY_SIZE };
    const page = await ctx.table.query(cursor === undefined ? query : { ...query, after: cursor });
    const older = page.items.filter(({ sk }) => before === undefined || sk < before);
    const wanted = readable(ctx, older, parseDelivery);
    found.push(...wanted.filter((delivery) => environment === undefined || delivery.environment.id === environment));
    last = older.at(-1) ?? last;
    readCount += older.length;
    cursor = page.next;
    if (cursor === undefined) break;
  }
  const deliveries = found.slice(0, limit);
  const end = found.length > limit ? deliveries.at(-1) : cursor !== undefined ? last : undefined;
  return { deliveries, next: end ? formatEventId(end) : null };
}

/**
 * Starts a new series of attempts with the same id and bytes. A repeat with the same `chosen` token starts none. Throws
 * `notFound`, or `unavailable` if the record changes too fast.
 */
export async function requestResend(
  ctx: UserContext<"table" | "queue">,
  id: string,
  chosen?: string,
): Promise<Delivery> {
  const sk = findSortKey(id);
  const { record, read: storedDelivery } = await changeRecord(ctx, {
    async read() {
      const item = sk === undefined ? undefined : await ctx.table.get({ pk: deliveriesPartition(ctx.actor.uid), sk });
      if (!item) throw new Problem("notFound", `Delivery ${id.slice(0, 100)} not found`);
      return parseDelivery(item);
    },
    decide: (delivery) =>
      chosen !== undefined && delivery.seriesBy === chosen ? undefined : inNewSeries(delivery, chosen, ctx.clock.now()),
    what: "The delivery is",
  });
  const again = record ?? storedDelivery;
  await requestReconcile(ctx, again, { delayMs: (again.dueAt ?? 0) - ctx.clock.now() });
  return again;
}

function inNewSeries(delivery: Delivery, chosen: string | undefined, now: number): Delivery {
  // An attempt under way is the first of the new series, so wait for the end of its claim.
  const dueAt = delivery.claim ? delivery.claim.until : now;
  return {
    ...delivery,
    state: "waiting",
    tries: 0,
    seriesAt: now,
    seriesBy: chosen,
    endedAt: null,
    dueAt,
    ttl: undefined,
  };
}

const idForm = /^evt_(\d{13})_([0-9a-f]{32})_(\d{1,9})$/;

function findSortKey(id: string): string | undefined {
  const parts = idForm.exec(id)?.slice(1);
  if (!parts) return undefined;
  const sk = parts.join("#");
  return formatEventId({ pk: "", sk }) === id ? sk : undefined;
}
