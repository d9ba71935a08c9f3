import type { Context, UserContext } from "../../context.ts";
import { type DiskPlace, findDiskPlace } from "../../disks/names/acquire.ts";
import type { Size } from "../../environments/record/record.ts";
import type { Item } from "../../ports/table.ts";
import { forecastKey, kindOfKey, poolKey } from "../../store/keys.ts";
import { readable } from "../../store/readable.ts";
import { refuseFullLine } from "../admission/waiting-limit.ts";
import { findGroup } from "../capacity/groups.ts";
import { type Pool, type PoolSummary, poolParser } from "../ledger/record.ts";
import type { Need } from "../plan/free-units.ts";
import { notBefore } from "./advice.ts";
import { startsSoonerElsewhere } from "./elsewhere.ts";
import {
  type Answer,
  alternativesTo,
  type EstimateRequest,
  estimateFor,
  MOST_ALTERNATIVES,
  type QueueSnapshot,
} from "./estimate-new-job.ts";
import { ELSEWHERE } from "./forecast.ts";
import { passesAt, passingIn, standingIn } from "./stored-forecast.ts";

export type Estimate =
  | {
      readonly kind: "estimate";
      readonly answer: Answer;
      /** Smaller sizes that would start earlier, soonest first. */
      readonly alternatives: readonly Alternative[];
    }
  /** The type never had a machine, and no node group creates one. */
  | { readonly kind: "noMachine" }
  | { readonly kind: "noForecast" };

interface Alternative {
  readonly size: Size;
  readonly answer: Answer;
}

/** The data that availability shows. Every plan writes it, while a forecast is made only every 10 s. */
type Offer = Pick<Pool, "closed"> & Pick<PoolSummary, "free" | "mostFree">;

/**
 * Estimates when a job of this size would start if the caller submitted it now, and which smaller sizes would start
 * earlier. It reads the last forecast and the pool's head, and writes nothing. Throws `quota`, and `conflict` or `gone`
 * for the disk, as a submit would.
 */
export async function estimateStart(
  ctx: UserContext<"table">,
  wanted: { readonly size: Size; readonly disk: string | undefined },
  smaller: readonly Size[],
): Promise<Estimate> {
  await refuseFullLine(ctx, wanted.size.pool);
  const { pool } = wanted.size;
  const [items, diskPlace] = await Promise.all([
    ctx.table.getMany([forecastKey(pool, null), poolKey(pool)]),
    wanted.disk === undefined ? anywhere : findDiskPlace(ctx, wanted.disk),
  ]);
  const now = ctx.clock.now();
  const item = items.find(({ kind }) => kind === "forecast");
  const offer = findOffer(ctx, items);
  const [standing, passing] = [standingIn(item, now), passingIn(item)];
  if (!standing) {
    const isKnownPool = items.some((item) => kindOfKey(item) === "pool");
    return { kind: isKnownPool || findGroup(ctx, pool) ? "noForecast" : "noMachine" };
  }
  const zone = chooseZone(ctx, standing, wanted.size, diskPlace);
  const question = (size: Size) => ({ ...ask(ctx, size, zone), size });
  const place = (size: Size) => {
    const answer = fromNow(estimateFor(standing, question(size), now), now);
    const passes = passesAt(passing, question(size), now);
    return asOffered(passes ? asNow(answer, now) : answer, question(size), offer, standing.freeUnits);
  };
  const answer = place(wanted.size);
  const found = alternativesTo(standing, question(wanted.size), smaller.map(question), now);
  const later = found
    .map(({ question, answer }) => {
      return { size: question.size, answer: asOffered(fromNow(answer, now), question, offer, standing.freeUnits) };
    })
    .filter((alternative) => alternative.answer.p50 !== null);
  return {
    kind: "estimate",
    answer,
    alternatives: isNow(answer)
      ? []
      : withNow(
          later,
          smaller.map((size) => ({ size, answer: place(size) })),
        ),
  };
}

const anywhere: DiskPlace = { zone: null, canMove: false };

function ask({ actor }: UserContext, { machines, units, wantedMs }: Size, zone: string | null): EstimateRequest {
  return { owner: actor.uid, machines, units, wantedMs, zone };
}

/** Returns the zone in which the job would wait; null for any. A disk leaves its zone as that of a waiting job does. */
function chooseZone(
  ctx: UserContext,
  standing: QueueSnapshot,
  size: Size,
  { zone, canMove }: DiskPlace,
): string | null {
  if (zone === null) return null;
  const isKnown = standing.machines.some(([of]) => of === zone);
  const own = !isKnown && standing.room.some((room) => room.zone === ELSEWHERE) ? ELSEWHERE : zone;
  if (!canMove) return own;
  const now = ctx.clock.now();
  const { p50: startsAt } = estimateFor(standing, ask(ctx, size, own), now);
  const wait = { zone: own, startsAt, isMadeForIt: false, lackingZones: [], now };
  return startsSoonerElsewhere(standing, size, wait) ? null : own;
}

/** Adds the largest size that starts now. A size that starts later is useful only if it is larger than that. */
function withNow(later: readonly Alternative[], all: readonly Alternative[]): readonly Alternative[] {
  const [soonest] = all.filter(({ answer }) => isNow(answer)).sort((a, b) => b.size.gpus - a.size.gpus);
  if (!soonest) return later;
  return [soonest, ...later.filter(({ size }) => size.gpus > soonest.size.gpus)].slice(0, MOST_ALTERNATIVES);
}

/** Returns undefined before the first plan or if the pool is unreadable. The estimate then uses only the forecast. */
function findOffer(ctx: Context, items: readonly Item[]): Offer | undefined {
  const heads = items.filter((item) => kindOfKey(item) === "pool");
  const [head] = readable(ctx, heads, poolParser(ctx));
  return head && head.summary.plannedAt > 0 ? { closed: head.closed, ...head.summary } : undefined;
}

/**
 * Corrects a promise to start now with the last plan, which is newer than the forecast. The promise is dropped if the
 * pool closed or too little is free. The plan does not say in which zone units are free, so a zone-bound job loses the
 * promise as soon as less is free than in the forecast. The next forecast finds a new start.
 */
function asOffered(answer: Answer, { machines, units, zone }: Need, offer: Offer | undefined, before: number): Answer {
  const requestedUnits = machines * units;
  if (!isNow(answer) || !offer) return answer;
  const { closed, free, mostFree } = offer;
  if (closed) return { ...answer, p50: null, p90: null, code: closed, needed: requestedUnits, available: 0 };
  // Earlier versions did not write this list.
  if (!mostFree) return answer;
  const isThere = (mostFree[machines - 1] ?? 0) >= units && (zone === null || free >= before);
  return isThere ? answer : { ...answer, p50: null, p90: null, code: "taken", needed: requestedUnits, available: free };
}

function isNow({ code }: Answer): boolean {
  return code === "now";
}

function asNow(answer: Answer, now: number): Answer {
  return { ...answer, p50: now, p90: now, code: "now" };
}

function fromNow(answer: Answer, now: number): Answer {
  const { p50, p90, after } = answer;
  return { ...answer, p50: notBefore(now, p50), p90: notBefore(now, p90), after: Math.max(after, now) };
}
