import type { UserContext } from "../context.ts";
import { readable } from "../store/readable.ts";
import { getUserByName } from "../users/record.ts";
import { parseDelivery } from "../webhooks/delivery.ts";
import { type DeliveryFilter, type DeliveryPage, listDeliveries } from "../webhooks/requests.ts";
import { listDueKeys } from "./living.ts";

/**
 * Lists webhook deliveries, newest event first: all of one user, page by page, or of all users those that wait for an
 * attempt, in one page (see `listLivingKeys`). Throws `notFound` for an unknown user, `invalid` for a bad `after`.
 */
export async function listAnybodysDeliveries(
  ctx: UserContext<"table">,
  username: string | undefined,
  filter: DeliveryFilter,
): Promise<DeliveryPage> {
  if (username !== undefined) {
    const { uid } = await getUserByName(ctx, username);
    return listDeliveries({ ...ctx, actor: { ...ctx.actor, uid } }, filter);
  }
  const keys = await listDueKeys(ctx, "delivery");
  const found = readable(ctx, await ctx.table.getMany(keys), parseDelivery);
  const waiting = found.filter(({ state, environment }) => {
    return state === "waiting" && (filter.environment === undefined || environment.id === filter.environment);
  });
  const newestFirst = waiting.toSorted((left, right) => (left.sk < right.sk ? 1 : -1));
  return { deliveries: newestFirst.slice(0, filter.limit), next: null };
}
