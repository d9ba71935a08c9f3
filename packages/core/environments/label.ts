import type { UserContext } from "../context.ts";
import { Problem } from "../problem.ts";
import { putIf } from "../put-if.ts";
import { getEnvironment } from "./read.ts";
import type { Environment } from "./record.ts";

const TRIES = 5;

/**
 * Adds to what a dialect wants to show again, also where everything else is final. Nothing follows from it, and when it
 * is looked at next stays as it is. Throws `notFound`.
 */
export async function labelEnvironment(
  ctx: UserContext<"table">,
  id: string,
  labels: Environment["labels"],
): Promise<Environment> {
  for (let tries = 0; tries < TRIES; tries++) {
    const environment = await getEnvironment(ctx, id);
    const written = {
      ...environment,
      labels: { ...environment.labels, ...labels },
      version: environment.version + 1,
    };
    if (await putIf(ctx, written, environment.version)) return written;
  }
  throw new Problem("unavailable", `The ${ctx.noun} ${id} is changing too fast, try again`, { retryAfterSeconds: 1 });
}
