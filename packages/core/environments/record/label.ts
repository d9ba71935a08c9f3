import type { UserContext } from "../../context.ts";
import { changeRecord } from "../../store/write-record.ts";
import { getEnvironment } from "./read.ts";
import type { Environment } from "./record.ts";

/**
 * Adds to what a dialect wants to show again, also where everything else is final. Nothing follows from it, and when it
 * is looked at next stays as it is. Throws `notFound`.
 */
export async function labelEnvironment(
  ctx: UserContext<"table">,
  id: string,
  labels: Environment["labels"],
): Promise<Environment> {
  const { record, read } = await changeRecord(ctx, {
    read: () => getEnvironment(ctx, id),
    decide: (environment): Environment => ({ ...environment, labels: { ...environment.labels, ...labels } }),
    what: `The ${ctx.noun} ${id} is`,
  });
  return record ?? read;
}
