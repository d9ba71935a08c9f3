import type { Page } from "playwright-core";

interface Reads {
  /** Counts the reads that the page began since it was loaded. */
  count(): Promise<{ readonly whileVisible: number; readonly whileHidden: number }>;
  /** Waits until every read has its answer. */
  settle(): Promise<unknown>;
}

/** Counts the reads of each page that this tab loads from now on. */
export async function countReads(page: Page): Promise<Reads> {
  await page.addInitScript({ content: watchFetch });
  return { count: () => page.evaluate("reads.counts"), settle: () => page.evaluate("reads.settle()") };
}

/** Runs in the browser before the page. */
const watchFetch = `{
  const counts = { whileVisible: 0, whileHidden: 0 };
  const pending = new Set();
  const realFetch = globalThis.fetch;
  const settle = async () => {
    while (pending.size > 0) await Promise.allSettled(pending);
  };
  globalThis.reads = { counts, settle };
  globalThis.fetch = (...words) => {
    counts[document.visibilityState === "visible" ? "whileVisible" : "whileHidden"]++;
    const answer = realFetch(...words);
    pending.add(answer);
    const forget = () => pending.delete(answer);
    answer.then(forget, forget);
    return answer;
  };
}`;

/** Pretends that the browser hides or shows the page. */
export function setVisibility(page: Page, state: "hidden" | "visible"): Promise<unknown> {
  return page.evaluate(`Object.defineProperty(document, "visibilityState", { value: "${state}", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"))`);
}
