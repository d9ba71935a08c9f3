import { type Omitted, simulate } from "./schedule.ts";
import { calm, type FaultRates } from "./scheduler.ts";

/** A failing schedule that needs all of its remaining parts, with its violations. */
export interface Shrunk extends Omitted {
  readonly violation: string;
  readonly left: { readonly actions: number; readonly faults: readonly string[] };
}

/** Each try runs one schedule. */
const MOST_TRIES = 600;

/**
 * Removes what a failing seed does not need: actions of users in halves, quarters and so on, then kinds of faults. The
 * rest fails in the same way. Returns undefined if the seed does not fail.
 */
export async function shrink(seed: number, run = simulate): Promise<Shrunk | undefined> {
  const whole = await run(seed, {});
  const violation = whole.violations[0];
  if (violation === undefined) return undefined;
  let tries = 0;
  const fails = async (without: Omitted) => {
    if (tries++ >= MOST_TRIES) return false;
    const { violations } = await run(seed, { without });
    return violations.some((text) => getClass(text) === getClass(violation));
  };
  const all = Array.from({ length: whole.drawn }, (_, place) => place);
  const needed = await fewest(all, (kept) => fails({ actions: except(all, kept), faults: [] }));
  const actions = except(all, needed);
  const kinds = Object.keys(calm) as (keyof FaultRates)[];
  const faults = await fewest(kinds, (kept) => fails({ actions, faults: except(kinds, kept) }));
  return { actions, faults: except(kinds, faults), violation, left: { actions: needed.length, faults } };
}

/** Returns the kind of a violation: its text without numbers and ids. */
function getClass(violation: string): string {
  return violation.replace(/\(at \d+\)|[0-9a-f]{16,}|\d+/g, "#");
}

/** Returns a small part of the list that still fails, by delta debugging. */
async function fewest<One>(list: readonly One[], fails: (kept: readonly One[]) => Promise<boolean>): Promise<One[]> {
  let kept = [...list];
  for (let size = kept.length; size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < kept.length; ) {
      const fewer = kept.toSpliced(at, size);
      if (await fails(fewer)) kept = fewer;
      else at += size;
    }
  }
  return kept;
}

function except<One>(all: readonly One[], kept: readonly One[]): One[] {
  return all.filter((entry) => !kept.includes(entry));
}
