import type { UserContext } from "../../context.ts";
import { changeRecord } from "../../store/write-record.ts";
import { getEnvironment } from "./read.ts";
import type { Environment } from "./record.ts";

/** Adds labels, even to an ended environment. Changes neither its state nor when it is due. Throws `notFound`. */
export async function labelEnvironment(
  ctx: UserContext<"table">,
  id: string,
  labels: Environment["labels"],
): Promise<Environment> {
  const { record, read: storedEnvironment } = await changeRecord(ctx, {
    read: () => getEnvironment(ctx, id),
    decide: (environment): Environment => ({ ...environment, labels: { ...environment.labels, ...labels } }),
    what: `The ${ctx.noun} ${id} is`,
  });
  return record ?? storedEnvironment;
}
