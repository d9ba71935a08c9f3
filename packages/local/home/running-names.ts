import type { Context } from "#core/context.ts";
import { parseEnvironment } from "#core/environments/record/parse.ts";
import { type Environment, holdsCapacity } from "#core/environments/record/record.ts";
import type { Compute, RunRef } from "#core/ports/compute.ts";
import { keyOfText } from "#core/store/keys.ts";
import { createNameReader } from "../activity/activity-log.ts";

export async function runningNames(
  ctx: Context<"table">,
  compute: Pick<Compute, "listRuns">,
): Promise<readonly string[]> {
  const runs = await compute.listRuns();
  const environments = await Promise.all(runs.map((run) => findRunning(ctx, run)));
  const names = await Promise.all(environments.flat().map(createNameReader(ctx.table)));
  return names.toSorted();
}

async function findRunning({ table }: Context<"table">, { uid, run, key }: RunRef): Promise<Environment[]> {
  const named = keyOfText(key);
  const item = named && (await table.get(named));
  if (!item) return [];
  try {
    const environment = parseEnvironment(item);
    return environment.uid === uid && holdsCapacity(environment, run) ? [environment] : [];
  } catch {
    return [];
  }
}
