import type { Context } from "#core/context.ts";
import { Conflict } from "#core/problem.ts";
import type { NewResource } from "#core/store/idempotency.ts";

const TRIES = 5;

/**
 * Creates a session under the chosen id, or under another one if that is taken, because ids have only 8 digits. The
 * other ids follow from the first, so a repeat arrives at the same one.
 */
export async function withFreeId<Made>(
  ctx: Context,
  resource: NewResource,
  make: (resource: NewResource) => Promise<Made>,
): Promise<Made> {
  for (let tries = 1; ; tries++) {
    const otherId = ctx.ids.hash(`${resource.uid}#${tries}`);
    const free = tries === 1 ? resource : { ...resource, id: otherId.slice(-8), uid: otherId.slice(0, 32) };
    try {
      return await make(free);
    } catch (error) {
      if (!(error instanceof Conflict) || tries === TRIES) throw error;
    }
  }
}
