import type { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import type { Clock } from "#core/ports/clock.ts";
import { isTooOld, type ReadAt, readAtNow } from "#core/reconciler/budget.ts";

/** Measurements expire after this time, because someone may set the clock. */
const REMEMBERED_MS = 10_000;

/**
 * Compares the clock of this process with the Date header of every answer that the client gets. Returns a function that
 * reads the newest comparison, as `Table.clockAheadMs` does.
 */
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
    // The SDK runs this step once for each try. A low priority is the nearest to the wire, so that refusals are seen too.
    { step: "deserialize", priority: "low" },
  );
  return () => (measured && !isTooOld(clock, measured.at, REMEMBERED_MS) ? measured.aheadMs : undefined);
}

/**
 * Returns by how much a clock is ahead of the server's at least, and a negative number for a clock that is behind. The
 * server wrote the date between the two moments and cut it to whole seconds. So a slow answer, or a process that was
 * frozen before it read the answer, proves less, and never more. Returns undefined if the date is not readable, or if the
 * clock was set back between the two moments.
 */
export function leastAheadMs(
  date: string | undefined,
  { sentAt, receivedAt }: { readonly sentAt: number; readonly receivedAt: number },
): number | undefined {
  const begin = date !== undefined && IMF_FIXDATE.test(date) ? Date.parse(date) : Number.NaN;
  if (Number.isNaN(begin) || begin < NO_DATE_BEFORE) return undefined;
  const least = sentAt - (begin + 999);
  const most = receivedAt - begin;
  if (least > most) return undefined;
  return least > 0 ? least : Math.min(0, most);
}

/** The form that HTTP asks of a server (RFC 9110, section 5.6.7). `Date.parse` alone reads "0" as a year. */
const IMF_FIXDATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
/** A server that lost its own clock says 1970 or 2000. */
const NO_DATE_BEFORE = Date.UTC(2025, 0, 1);

/** The SDK types the raw answer as unknown. */
function findDate(response: unknown): string | undefined {
  const { headers } = (response ?? {}) as { readonly headers?: Readonly<Record<string, string | undefined>> };
  return headers?.date;
}
