import type { Context } from "#core/context.ts";
import { parseEnvironment } from "#core/environments/record/parse.ts";
import { holdsCapacity } from "#core/environments/record/record.ts";
import type { RunRef } from "#core/ports/compute.ts";
import { keyOfText } from "#core/store/keys.ts";
import type { ProcessCompute } from "#process/compute.ts";

/**
 * To be called before the first message. A run whose record still holds capacity for it goes on; what became of it
 * meanwhile is signalled as soon as changes are followed. Any other is ended, because nobody would ever look at it
 * again (docs/architecture/embedded-stack.md).
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

/** False where the stack ended it, or where it ended by itself: its record hears of that from its next look. */
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
    // Its record cannot be read, so nothing may be lost on its account.
    log.error("unreadable record of a run", { look: key, run });
    return true;
  }
}
