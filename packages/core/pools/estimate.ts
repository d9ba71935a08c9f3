import type { UserContext } from "../context.ts";
import { zoneWith } from "../disks/acquire.ts";
import type { Size } from "../environments/record/record.ts";
import { forecastKey } from "../keys.ts";
import { notBefore } from "./advice.ts";
import { ELSEWHERE } from "./forecast.ts";
import { passesAt, passingIn, standingIn } from "./forecast-items.ts";
import { type Answer, alternativesTo, placeOneMore } from "./one-more.ts";
import { refuseFullLine } from "./waiting-limit.ts";

export interface Estimate {
  readonly answer: Answer;
  /** Smaller ones that would start earlier, soonest first. */
  readonly alternatives: readonly { readonly size: Size; readonly answer: Answer }[];
}

const MOST_ALTERNATIVES = 3;

/**
 * When one of this size would start that the caller has not submitted, and which of the smaller ones would start earlier.
 * It reads the last forecast and writes nothing. Undefined while there is none. Throws `quota`, and of
 * the disk `conflict` and `gone`, where a submit would.
 */
export async function estimateStart(
  ctx: UserContext<"table">,
  wanted: { readonly size: Size; readonly disk: string | undefined },
  smaller: readonly Size[],
): Promise<Estimate | undefined> {
  await refuseFullLine(ctx, wanted.size.pool);
  const [item, zone] = await Promise.all([
    ctx.table.get(forecastKey(wanted.size.pool, null)),
    wanted.disk === undefined ? null : zoneWith(ctx, wanted.disk),
  ]);
  const now = ctx.clock.now();
  const [standing, passing] = [standingIn(item, now), passingIn(item)];
  if (!standing) return undefined;
  const isKnown = zone === null || standing.machines.some(([of]) => of === zone);
  const isMade = !isKnown && standing.room.some((one) => one.zone === ELSEWHERE);
  const question = (size: Size) => {
    const { machines, units } = size;
    return { owner: ctx.actor.uid, machines, units, zone: isMade ? ELSEWHERE : zone, size };
  };
  const place = (size: Size) => {
    const answer = fromNow(placeOneMore(standing, question(size)), now);
    return passesAt(passing, { ...question(size), wantedMs: size.wantedMs }, now) ? asNow(answer, now) : answer;
  };
  const answer = place(wanted.size);
  const found = alternativesTo(standing, question(wanted.size), smaller.map(question));
  const later = found.map((one) => ({ size: one.question.size, answer: fromNow(one.answer, now) }));
  return {
    answer,
    alternatives: isNow(answer)
      ? []
      : withNow(
          later,
          smaller.map((size) => ({ size, answer: place(size) })),
        ),
  };
}

/** Those that start later than the largest that starts now are of use only where they are larger than that. */
function withNow(later: Estimate["alternatives"], all: Estimate["alternatives"]): Estimate["alternatives"] {
  const [soonest] = all.filter(({ answer }) => isNow(answer)).sort((a, b) => b.size.gpus - a.size.gpus);
  if (!soonest) return later;
  return [soonest, ...later.filter(({ size }) => size.gpus > soonest.size.gpus)].slice(0, MOST_ALTERNATIVES);
}

function isNow({ code }: Answer): boolean {
  return code === "now";
}

function asNow(answer: Answer, now: number): Answer {
  return { ...answer, p50: now, p90: now, code: "now" };
}

function fromNow(answer: Answer, now: number): Answer {
  const { p50, p90, code, a } = answer;
  return { ...answer, p50: notBefore(now, p50), p90: notBefore(now, p90), a: code === "later" ? Math.max(a, now) : a };
}
