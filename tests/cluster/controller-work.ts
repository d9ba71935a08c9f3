import { setTimeout as sleep } from "node:timers/promises";

/** Handles one object, which it reads again; false: not done yet. */
type Step = () => Promise<boolean>;

const againMs = 50;

/**
 * Work of a controller by the keys of its objects: one step at a time for each, and again a moment later where it is not
 * done or a request failed, since the API server is away while it starts again. A change of an object during its
 * last step causes another one.
 */
export function controllerWork(signal: AbortSignal): (key: string, step: Step) => void {
  /** Of those that are worked on: whether anything was said since the step began. */
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
