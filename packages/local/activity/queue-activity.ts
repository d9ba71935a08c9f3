import type { Context } from "#core/context.ts";
import { type Environment, isWaiting } from "#core/environments/record/record.ts";
import { poolTypes } from "#core/fleet.ts";
import { readAdvice, type WaitAdvice } from "#core/pools/forecast/advice.ts";
import type { ReasonCode } from "#core/pools/plan/plan.ts";
import type { Key } from "#core/ports/table.ts";
import type { Settings } from "#core/settings.ts";
import { forecastKey } from "#core/store/keys.ts";
import { waitReason } from "#http/answers/wait-reason.ts";

interface WaitingNews {
  readonly environment: Environment;
  readonly at: number;
  readonly words: string;
}

export interface Waits {
  saw(environment: Environment): void;
  newsAfter(written: Key): Promise<readonly WaitingNews[]> | undefined;
}

type WaitSettings = Pick<Settings, "maxQueueHours" | "nodeGroups">;

const MOST_FOLLOWED = 1_000;
const LEAST_PAUSE_MS = 60_000;

/**
 * Follows environments that wait. One that waited before the start is added at its next reconcile, within minutes.
 * Reports when a forecast first includes the environment, then at most once a minute when its kind of reason, start
 * or place changes.
 */
export function createWaits(ctx: Pick<Context<"table">, "table" | "clock">, settings: WaitSettings): Waits {
  const followed = new Map<string, { environment: Environment; last?: Snapshot }>();

  function saw(environment: Environment): void {
    const { uid } = environment;
    if (!isWaiting(environment)) followed.delete(uid);
    else if (followed.has(uid) || followed.size < MOST_FOLLOWED)
      followed.set(uid, { ...followed.get(uid), environment });
  }

  async function listNews(pool: string): Promise<WaitingNews[]> {
    const waiting = [...followed.values()]
      .map(({ environment }) => environment)
      .filter(({ size }) => size.pool === pool);
    const advice = await readAdvice(ctx, waiting);
    const now = ctx.clock.now();
    return waiting.flatMap((environment) => {
      const followedJob = followed.get(environment.uid);
      const said = advice.get(environment.uid);
      if (!followedJob || !said || !(said.place || said.farBack)) return [];
      const snapshot = toSnapshot(said, now);
      if (followedJob.last && !isNews(followedJob.last, snapshot)) return [];
      followedJob.last = snapshot;
      return [{ environment, at: now, words: formatWords(environment, said, settings) }];
    });
  }

  return {
    saw,
    newsAfter({ pk }) {
      const pool = poolTypes.find((type) => forecastKey(type, null).pk === pk);
      // A failure needs no handling: the next forecast comes within a minute.
      return pool === undefined ? undefined : listNews(pool).catch(() => []);
    },
  };
}

interface Snapshot {
  readonly at: number;
  readonly kind: string;
  /** 0: far back in the queue. */
  readonly position: number;
  readonly startsAt: number | null;
}

const kinds: Readonly<Partial<Record<ReasonCode, string>>> = {
  short: "turn",
  split: "turn",
  behind: "turn",
  making: "turn",
  elsewhere: "turn",
};

function toSnapshot({ place, start, lateSince }: WaitAdvice, at: number): Snapshot {
  const kind = place ? (kinds[place.code] ?? place.code) : "turn";
  const isLate = lateSince !== undefined;
  return {
    at,
    kind: `${kind}${isLate ? ", late" : ""}`,
    position: place?.position ?? 0,
    startsAt: findStart({ place, start }),
  };
}

function findStart({ place, start }: Pick<WaitAdvice, "place" | "start">): number | null {
  return (start ? start.p50 : place?.startsAt) ?? null;
}

function isNews(last: Snapshot, now: Snapshot): boolean {
  if (now.at - last.at < LEAST_PAUSE_MS) return false;
  return now.kind !== last.kind || hasMoved(last, now) || isOtherPlace(last.position, now.position);
}

function hasMoved(last: Snapshot, now: Snapshot): boolean {
  if (last.startsAt === null || now.startsAt === null) return last.startsAt !== now.startsAt;
  // An overdue start is always estimated as now.
  const expected = Math.max(last.startsAt, now.at);
  return Math.abs(now.startsAt - expected) > Math.max(5 * 60_000, (last.startsAt - last.at) / 4);
}

function isOtherPlace(last: number, now: number): boolean {
  return now !== last && (now * 2 <= last || now >= last * 2);
}

function formatWords(environment: Environment, advice: WaitAdvice, settings: WaitSettings): string {
  const startsAt = findStart(advice);
  const latest = advice.start?.p90 ?? null;
  const start = startsAt === null ? "" : `, expected to start at ${clockTime(startsAt)}`;
  const end = startsAt === null || latest === null ? "" : `, at the latest at ${clockTime(latest)}`;
  return `waiting${start}${end}: ${waitReason(environment, advice, settings)}`;
}

/** Formats the local time of day (`17:52`), with the date unless it is today. */
export function clockTime(at: number): string {
  const date = new Date(at);
  const time = date.toTimeString().slice(0, 5);
  return date.toDateString() === new Date().toDateString() ? time : `${date.toDateString().slice(4, 10)} ${time}`;
}
