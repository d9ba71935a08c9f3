import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import type { Environment } from "../../record/record.ts";
import { changed, notifyPool } from "../../record/step-result.ts";
import { restart } from "../../verbs/restart.ts";
import { checkAfterEnd } from "./ending.ts";
import { finalize, withoutSecrets } from "./finalize.ts";

const AS_BEFORE = { size: null, receiver: null };

export async function stepStopped(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment>> {
  const {
    end: { outcome },
    goal: { desired, start: remembered },
  } = environment;
  if (outcome) return finalize(ctx, environment, now);
  if (desired === "active") {
    return notifyPool(changed(restart(environment, now, remembered ?? AS_BEFORE), now, "starts again"));
  }
  const bare = await withoutSecrets(ctx, environment);
  const check = await checkAfterEnd(ctx, bare, now);
  return check === "done" ? { record: { ...bare, dueAt: undefined }, notify: [], log: "done" } : check;
}
