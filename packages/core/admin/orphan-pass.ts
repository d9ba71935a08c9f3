import type { Context } from "../context.ts";
import type { OwnedVolume } from "../ports/volumes.ts";
import { firstThatFit } from "./listed.ts";
import { earlierFirst, findUnowned, type SeenBefore, UNOWNED_LISTED, type Unowned } from "./unowned.ts";

/** A comparison of all volumes or all snapshots with the records. It may take several calls. */
export interface Pass {
  /** The place in the list at which the next page begins. Absent before the first page. */
  readonly next?: string | undefined;
  readonly found: readonly Unowned[];
  /** The number before the list was cut. */
  readonly count: number;
  /** The total of the known sizes. */
  readonly gb: number;
}

export interface OwnedPage {
  readonly owned: readonly OwnedVolume[];
  readonly next?: string | undefined;
}

interface Passing {
  readonly list: (after: string | undefined) => Promise<OwnedPage>;
  /** The findings of the pass before. */
  readonly earlier: readonly SeenBefore[];
  readonly now: number;
  /** The event that is logged if a page cannot be listed. */
  readonly failure: string;
}

/** On AWS a page has at most 500 volumes or snapshots, and each costs at most one read of its record. */
const PAGES_AT_ONCE = 10;
/** The function has 50 s (functions/schedules/orphans.ts), and what it found is written at its end. */
const MOST_MS = 15_000;

/**
 * Continues a pass, or begins one. Returns it as `whole` once all pages were compared. After `PAGES_AT_ONCE` pages or
 * `MOST_MS` it returns it as `rest`, for the next call. If a page cannot be listed, for example for lack of a
 * permission, the rest begins there. It is absent if that was the first page of this call: the stored place may have
 * expired.
 */
export async function continuePass(
  ctx: Context<"table">,
  before: Pass | undefined,
  { list, earlier, now, failure }: Passing,
): Promise<{ readonly whole?: Pass; readonly rest?: Pass }> {
  let pass: Pass = before ?? { found: [], count: 0, gb: 0 };
  const startedAt = ctx.clock.monotonic();
  for (let pages = 0; pages < PAGES_AT_ONCE; pages++) {
    if (pages > 0 && ctx.clock.monotonic() - startedAt > MOST_MS) break;
    const page = await list(pass.next).catch((error: unknown) => {
      ctx.log.warn(failure, { error: String(error) });
      return undefined;
    });
    if (!page) return pages > 0 ? { rest: pass } : {};
    pass = await addPage(ctx, pass, page, earlier, now);
    if (pass.next === undefined) return { whole: pass };
  }
  return { rest: pass };
}

async function addPage(
  ctx: Context<"table">,
  { found, count, gb }: Pass,
  { owned, next }: OwnedPage,
  earlier: readonly SeenBefore[],
  now: number,
): Promise<Pass> {
  const unowned = await findUnowned(ctx, owned, earlier, now);
  const sizes = new Map(owned.map(({ id, sizeGb = 0 }) => [id, sizeGb]));
  return {
    next,
    found: firstThatFit(earlierFirst([...found, ...unowned]), UNOWNED_LISTED),
    count: count + unowned.length,
    gb: unowned.reduce((sum, { id }) => sum + (sizes.get(id) ?? 0), gb),
  };
}
