import type { Step, WorkerContext } from "../../worker.ts";
import { changed, tellingPool } from "../record/pace.ts";
import type { Environment } from "../record/record.ts";
import { queueAgain } from "../verbs/again.ts";
import { lookAfterEnd } from "./ending.ts";
import { finish, withoutSecrets } from "./finish.ts";

const AS_BEFORE = { size: null, receiver: null };

/** Starts what was wanted again, deletes what shall go, and else looks twice whether anything of it came back. */
export async function stepStopped(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment>> {
  const {
    end: { outcome },
    goal: { desired, start: remembered },
  } = environment;
  if (outcome) return finish(ctx, environment, now);
  if (desired === "active") {
    return tellingPool(changed(queueAgain(environment, now, remembered ?? AS_BEFORE), now, "starts again"));
  }
  const bare = await withoutSecrets(ctx, environment);
  const look = await lookAfterEnd(ctx, bare, now);
  return look === "done" ? { record: { ...bare, dueAt: undefined }, sends: [], did: "done" } : look;
}
