import type { Clock } from "#core/ports/clock.ts";
import type { Log } from "#core/ports/log.ts";
import type { Table } from "#core/ports/table.ts";
import { isTooOld, type ReadAt, readAtNow } from "#core/reconciler/budget.ts";
import { durationText } from "#core/text/duration-text.ts";

/** Synchronized clocks differ by milliseconds. A larger difference is logged for the operator. */
const TOLD_MS = 3_000;
/**
 * Two workers may be 17 s apart (docs/architecture/consistency.md#paused-workers), so each may be 8 s from the table.
 * The whole seconds of the Date header take 1 s of that.
 */
const REFUSED_MS = 7_000;
/** A process writes at most one line in this time. */
const LINE_MS = 60_000;

/** The clock of this process is too far from the store's. Another process may handle the same request. */
export class ClockWrong extends Error {
  /** Mark of the SDK for errors that are worth a retry (packages/http/answers/outage.ts). */
  readonly $retryable = { throttling: false };

  constructor(aheadMs: number) {
    super(clockText(aheadMs));
    this.name = "ClockWrong";
  }
}

/** `worker` refuses reads and writes, so that no step begins. `request` refuses only writes. */
export type ClockUser = "worker" | "request";

/** Returns a table that refuses calls while the clock is wrong, and logs the difference to the store's clock. */
export function guardClock(
  table: Table,
  user: ClockUser,
  { log, clock }: { readonly log: Log; readonly clock: Clock },
): Table {
  const requireClock = () => {
    const aheadMs = table.clockAheadMs?.() ?? 0;
    if (Math.abs(aheadMs) >= TOLD_MS) tell(aheadMs);
    if (isClockWrong(table)) throw new ClockWrong(aheadMs);
  };
  const tell = oncePerMinute(clock, (aheadMs) => {
    log.error("clock wrong", { error: clockText(aheadMs), aheadMs, refuses: Math.abs(aheadMs) >= REFUSED_MS });
  });
  const write = <Input extends unknown[], Output>(call: (...input: Input) => Promise<Output>) => {
    return async (...input: Input): Promise<Output> => {
      requireClock();
      return call(...input);
    };
  };
  // Each answer to a read measures the clock. The read is refused afterwards, so work resumes once the clock is right.
  const read = <Input extends unknown[], Output>(call: (...input: Input) => Promise<Output>) => {
    if (user === "request") return call;
    return async (...input: Input): Promise<Output> => {
      const answer = await call(...input);
      requireClock();
      return answer;
    };
  };
  return {
    ...table,
    get: read(table.get),
    getMany: read(table.getMany),
    query: read(table.query),
    count: read(table.count),
    put: write(table.put),
    putAll: write(table.putAll),
    remove: write(table.remove),
  };
}

/** Reports whether the clock of this process is too wrong to work. */
export function isClockWrong(table: Pick<Table, "clockAheadMs"> | undefined): boolean {
  return Math.abs(table?.clockAheadMs?.() ?? 0) >= REFUSED_MS;
}

function clockText(aheadMs: number): string {
  return `The clock of this worker is ${durationText(Math.abs(aheadMs))} ${aheadMs > 0 ? "ahead" : "behind"}`;
}

/** Limits calls to one per minute by both clocks: the monotonic one stops while the function is frozen. */
function oncePerMinute(clock: Clock, tell: (aheadMs: number) => void): (aheadMs: number) => void {
  let loggedAt: ReadAt | undefined;
  return (aheadMs) => {
    if (loggedAt && !isTooOld(clock, loggedAt, LINE_MS - 1)) return;
    loggedAt = readAtNow(clock);
    tell(aheadMs);
  };
}
