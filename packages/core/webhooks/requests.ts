import type { UserContext } from "../context.ts";
import type { Key } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { sendLook } from "../reconciler/look.ts";
import { deliveriesOf } from "../store/keys.ts";
import { readable } from "../store/readable.ts";
import { changeRecord } from "../store/write-record.ts";
import { type Delivery, parseDelivery } from "./delivery.ts";
import { eventIdOf } from "./event.ts";

export interface DeliveryFilter {
  readonly limit: number;
  /** The id of the last one of the page before. */
  readonly after?: string | undefined;
  /** The wire id of the environment whose deliveries alone are asked for. */
  readonly environment?: string | undefined;
}

export interface DeliveryPage {
  readonly deliveries: readonly Delivery[];
  /** The `after` of the page that follows; null: there are no older ones. */
  readonly next: string | null;
}

/**
 * One page reads so many, so with a filter it may be shorter than asked for. What the pages before it held is not
 * counted.
 */
const MOST_READ = 1000;
const QUERY_SIZE = 200;

/** The deliveries of whoever asks, through every dialect, newest event first. Throws `invalid` for a bad `after`. */
export async function listDeliveries(
  ctx: UserContext<"table">,
  { limit, after, environment }: DeliveryFilter,
): Promise<DeliveryPage> {
  const before = after === undefined ? undefined : sortKeyOf(after);
  if (after !== undefined && before === undefined) throw new Problem("invalid", "after must be the id of a delivery");
  const found: Delivery[] = [];
  let last: Key | undefined;
  let cursor: string | undefined;
  for (let read = 0; read < MOST_READ && found.length <= limit; ) {
    const query = { pk: deliveriesOf(ctx.actor.uid), newestFirst: true, limit: QUERY_SIZE };
    const page = await ctx.table.query(cursor === undefined ? query : { ...query, after: cursor });
    const older = page.items.filter(({ sk }) => before === undefined || sk < before);
    const wanted = readable(ctx, older, parseDelivery);
    found.push(...wanted.filter((one) => environment === undefined || one.environment.id === environment));
    last = older.at(-1) ?? last;
    read += older.length;
    cursor = page.next;
    if (cursor === undefined) break;
  }
  const deliveries = found.slice(0, limit);
  const end = found.length > limit ? deliveries.at(-1) : cursor !== undefined ? last : undefined;
  return { deliveries, next: end ? eventIdOf(end) : null };
}

/**
 * A new series of attempts from now on, with the same id and the same bytes, whatever became of the one before. Throws
 * `notFound`, `unavailable` when it changes too fast. A repeat under the same `chosen` token begins no other one, unless
 * another request has begun one since.
 */
export async function requestResend(
  ctx: UserContext<"table" | "queue">,
  id: string,
  chosen?: string,
): Promise<Delivery> {
  const sk = sortKeyOf(id);
  const { record, read } = await changeRecord(ctx, {
    async read() {
      const item = sk === undefined ? undefined : await ctx.table.get({ pk: deliveriesOf(ctx.actor.uid), sk });
      if (!item) throw new Problem("notFound", `Delivery ${id.slice(0, 100)} not found`);
      return parseDelivery(item);
    },
    decide: (delivery) =>
      chosen !== undefined && delivery.seriesBy === chosen ? undefined : inNewSeries(delivery, chosen, ctx.clock.now()),
    what: "The delivery is",
  });
  const again = record ?? read;
  await sendLook(ctx, again, { delayMs: (again.dueAt ?? 0) - ctx.clock.now() });
  return again;
}

function inNewSeries(delivery: Delivery, chosen: string | undefined, now: number): Delivery {
  // An attempt that is under way is the first of the new series: nobody makes two at once.
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

/** The way back from `eventIdOf`. */
function sortKeyOf(id: string): string | undefined {
  const parts = idForm.exec(id)?.slice(1);
  if (!parts) return undefined;
  const sk = parts.join("#");
  return eventIdOf({ pk: "", sk }) === id ? sk : undefined;
}
