import type { Context } from "#core/context.ts";
import { parseEnvironment } from "#core/environments/record/parse.ts";
import { type Environment, holdsCapacity } from "#core/environments/record/record.ts";
import type { Compute, RunRef } from "#core/ports/compute.ts";
import { keyOfText } from "#core/store/keys.ts";
import type { ProcessCompute } from "#process/compute.ts";
import { createNameReader } from "./activity/activity-log.ts";

/**
 * Adopts runs of an earlier stack before the first message is handled. A run whose record still holds capacity goes
 * on; its changes are signalled later. Any other run is ended, because no record would ever end it
 * (docs/architecture/embedded-stack.md).
 */
export async function adoptRuns(ctx: Context<"table">, compute: ProcessCompute): Promise<void> {
  await compute.adopt();
  const runs = await compute.listRuns();
  const outcomes = await Promise.all(
    runs.map(async (ref) => {
      const holder = await findHolder(ctx, ref);
      // Keep the run of an unreadable record: its user must not lose any work.
      if (holder === "unreadable") ctx.log.error("unreadable record of a run", { look: ref.key, run: ref.run });
      if (holder) return (await isAlive(compute, ref)) ? "adopted" : "over";
      await compute.endRun(ref.uid, ref.run);
      return "ended";
    }),
  );
  if (runs.length === 0) return;
  const count = (wanted: string) => outcomes.filter((outcome) => outcome === wanted).length;
  ctx.log.info("runs found", { adopted: count("adopted"), over: count("over"), ended: count("ended") });
}

async function isAlive(compute: ProcessCompute, { uid, run }: RunRef): Promise<boolean> {
  const seen = await compute.observe(uid, run);
  return seen !== undefined && seen.state !== "ended";
}

/** Returns the sorted names of environments that run. */
export async function runningNames(
  ctx: Context<"table">,
  compute: Pick<Compute, "listRuns">,
): Promise<readonly string[]> {
  const runs = await compute.listRuns();
  const holders = await Promise.all(runs.map((run) => findHolder(ctx, run)));
  const environments = holders.filter((holder) => holder !== undefined && holder !== "unreadable");
  const names = await Promise.all(environments.map(createNameReader(ctx.table)));
  return names.toSorted();
}

/** Returns the environment whose capacity this run holds. */
async function findHolder(
  { table }: Context<"table">,
  { uid, run, key }: RunRef,
): Promise<Environment | "unreadable" | undefined> {
  const named = keyOfText(key);
  const item = named && (await table.get(named));
  if (!item) return undefined;
  try {
    const environment = parseEnvironment(item);
    return environment.uid === uid && holdsCapacity(environment, run) ? environment : undefined;
  } catch {
    return "unreadable";
  }
}
