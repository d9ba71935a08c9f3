import type { Context } from "#core/context.ts";
import { parseEnvironment } from "#core/environments/record/parse.ts";
import { holdsCapacity } from "#core/environments/record/record.ts";
import type { RunRef } from "#core/ports/compute.ts";
import { keyOfText } from "#core/store/keys.ts";
import type { ProcessCompute } from "#process/compute.ts";

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
      if (await isWanted(ctx, ref)) return (await isAlive(compute, ref)) ? "adopted" : "over";
      await compute.endRun(ref.uid, ref.run);
      return "ended";
    }),
  );
  if (runs.length === 0) return;
  const getNumber = (wanted: string) => outcomes.filter((outcome) => outcome === wanted).length;
  ctx.log.info("runs found", { adopted: getNumber("adopted"), over: getNumber("over"), ended: getNumber("ended") });
}

async function isAlive(compute: ProcessCompute, { uid, run }: RunRef): Promise<boolean> {
  const seen = await compute.observe(uid, run);
  return seen !== undefined && seen.state !== "ended";
}

async function isWanted({ table, log }: Context<"table">, { uid, run, key }: RunRef): Promise<boolean> {
  const named = keyOfText(key);
  const item = named && (await table.get(named));
  if (!item) return false;
  try {
    const environment = parseEnvironment(item);
    return environment.uid === uid && holdsCapacity(environment, run);
  } catch {
    // Keep the run: an unreadable record must not cost its user any work.
    log.error("unreadable record of a run", { look: key, run });
    return true;
  }
}
