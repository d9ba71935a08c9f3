import type { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import type { Clock } from "#core/ports/clock.ts";
import { isTooOld, type ReadAt, readAtNow } from "#core/reconciler/budget.ts";

/** Lifetime of a measurement, since the clock may be set at any time. */
const REMEMBERED_MS = 10_000;

/** Compares the clock with the Date header of each answer. Returns a reader of the newest comparison. */
export function watchStoreClock(client: DynamoDBDocumentClient, clock: Clock): () => number | undefined {
  let measured: { readonly aheadMs: number; readonly at: ReadAt } | undefined;
  client.middlewareStack.add(
    (next) => async (request) => {
      const sentAt = clock.now();
      const answer = await next(request);
      const at = readAtNow(clock);
      const aheadMs = leastAheadMs(findDate(answer.response), { sentAt, receivedAt: at.now });
      if (aheadMs !== undefined) measured = { aheadMs, at };
      return answer;
    },
    // The SDK runs this step for each attempt. A low priority is nearest to the wire, so refusals are seen too.
    { step: "deserialize", priority: "low" },
  );
  return () => (measured && !isTooOld(clock, measured.at, REMEMBERED_MS) ? measured.aheadMs : undefined);
}

/**
 * Returns the least that a clock is ahead of the server's; negative if behind. The server's date is in whole seconds
 * and may be a second old, so a slow answer proves less, never more. Returns undefined if the date is unreadable or the
 * clock was set back.
 */
export function leastAheadMs(
  date: string | undefined,
  { sentAt, receivedAt }: { readonly sentAt: number; readonly receivedAt: number },
): number | undefined {
  const begin = date !== undefined && IMF_FIXDATE.test(date) ? Date.parse(date) : Number.NaN;
  if (Number.isNaN(begin) || begin < NO_DATE_BEFORE) return undefined;
  const least = sentAt - (begin + DATE_AGE_MS);
  const most = receivedAt - begin;
  if (least > most) return undefined;
  return least > 0 ? least : Math.min(0, most);
}

/** Date format that HTTP requires of a server (RFC 9110, section 5.6.7). `Date.parse` alone reads "0" as a year. */
const IMF_FIXDATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
/** Age that a true date can have: it has no milliseconds, and servers (Node too) build it once a second by a timer. */
const DATE_AGE_MS = 1_999;
/** A server without its clock answers 1970 or 2000. */
const NO_DATE_BEFORE = Date.UTC(2025, 0, 1);

function findDate(response: unknown): string | undefined {
  const { headers } = (response ?? {}) as { readonly headers?: Readonly<Record<string, string | undefined>> };
  return headers?.date;
}
