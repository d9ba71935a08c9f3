import type { UserContext } from "#core/context.ts";
import { followLog, type LogText } from "#core/environments/verbs/read-log.ts";
import type { LiveLogs } from "#core/ports/run-log.ts";
import { Problem } from "#core/problem.ts";
import { errorCode } from "#http/answers/http-error.ts";

export interface LogEvents {
  readonly ctx: UserContext<"table" | "queue" | "blobs">;
  readonly id: string;
  readonly first: LogText | undefined;
  readonly after: number;
  readonly mostBytes: number;
  readonly live: LiveLogs | undefined;
  readonly checkKey: () => Promise<void>;
  readonly hold: () => (() => void) | undefined;
}

/** Interval of key checks and of comments in a quiet stream: proxies close silent connections. */
const CHECK_MS = 5_000;
/** Shortest pause between pieces, so that a chatty command does not fill the connection. */
const PAUSE_MS = 100;

/**
 * Yields server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): `log` with the next
 * output and its cursor as id, `ended` when the log is complete, `closed` when the caller lost access.
 */
export function logEvents(events: LogEvents): AsyncGenerator<Uint8Array> {
  const leaving = new AbortController();
  const pieces = encodedEvents(events, leaving.signal);
  // A generator only returns after the `next` before it, which waits for the log.
  const end = pieces.return.bind(pieces);
  pieces.return = (value) => {
    leaving.abort();
    return end(value);
  };
  return pieces;
}

async function* encodedEvents(events: LogEvents, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const text of textEvents(events, signal)) yield encoder.encode(text);
}

async function* textEvents(events: LogEvents, signal: AbortSignal): AsyncGenerator<string> {
  const release = events.hold();
  if (!release) return yield getEvent("closed", { error: "limit", detail: "Too many open log streams" });
  try {
    yield* followEvents(events, signal);
  } catch (error) {
    yield getEvent("closed", getReason(error));
  } finally {
    release();
  }
}

async function* followEvents(
  { ctx, id, first, after: begin, mostBytes, live, checkKey }: LogEvents,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let after = first?.next ?? begin;
  let checkedAt = ctx.clock.monotonic();
  if (first) yield logEvent(first);
  for (;;) {
    const request = { after, mostBytes, waitMs: CHECK_MS, wantsFresh: false, signal };
    const log = await followLog(ctx, id, request, live);
    if (ctx.clock.monotonic() - checkedAt >= CHECK_MS) {
      await checkKey();
      checkedAt = ctx.clock.monotonic();
    }
    after = log.next;
    if (log.text !== "" || log.cut) yield logEvent(log);
    if (log.ended) return yield getEvent("ended", {}, log.next);
    if (log.text === "") yield ": \n\n";
    else await ctx.clock.sleep(PAUSE_MS, signal);
  }
}

function logEvent({ text, cut, next }: LogText): string {
  return getEvent("log", { logs: text, truncated: cut, next: String(next) }, next);
}

/** JSON has no line breaks, which would end the field. */
function getEvent(name: string, data: object, id?: number): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

function getReason(error: unknown): { readonly error: string; readonly detail: string } {
  if (!(error instanceof Problem)) return { error: "unavailable", detail: "Service unavailable" };
  return { error: errorCode(error), detail: error.message || "This key is not valid any more" };
}
