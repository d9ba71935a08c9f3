import type { Context } from "#core/context.ts";
import type { NewResource } from "#core/idempotency.ts";
import { Conflict } from "#core/problem.ts";

const TRIES = 5;

/**
 * Makes a session under the id that was chosen, or under another where somebody has that one: 8 digits are not many.
 * The others follow from the first, so that a repeat comes to the same one.
 */
export async function withFreeId<Made>(
  ctx: Context,
  resource: NewResource,
  make: (resource: NewResource) => Promise<Made>,
): Promise<Made> {
  for (let tries = 1; ; tries++) {
    const other = ctx.ids.hash(`${resource.uid}#${tries}`);
    const free = tries === 1 ? resource : { ...resource, id: other.slice(-8), uid: other.slice(0, 32) };
    try {
      return await make(free);
    } catch (error) {
      if (!(error instanceof Conflict) || tries === TRIES) throw error;
    }
  }
}
