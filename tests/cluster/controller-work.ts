import { setTimeout as sleep } from "node:timers/promises";

/** Handles one object, which it reads again. Returns false if it must be called again. */
type Step = () => Promise<boolean>;

const againMs = 50;

/**
 * Returns a function that works on objects by key, one step at a time for each key. It repeats a step that is not done
 * or that failed, because the API server may be restarting. A change of an object during its last step causes another
 * one.
 */
export function controllerWork(signal: AbortSignal): (key: string, step: Step) => void {
  /** Reports for each key in work whether its object has changed since the step began. */
  const news = new Map<string, boolean>();
  const work = async (key: string, step: Step) => {
    for (let isDone = false; !signal.aborted && !(isDone && news.get(key) === false); ) {
      news.set(key, false);
      isDone = await step().catch(() => false);
      if (!isDone) await sleep(againMs);
    }
    news.delete(key);
  };
  return (key, step) => {
    if (news.has(key)) news.set(key, true);
    else void work(key, step);
  };
}
