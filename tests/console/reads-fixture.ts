import type { Page } from "playwright-core";

interface Reads {
  /** Counts the reads that the page began since it was loaded. */
  count(): Promise<{ readonly whileVisible: number; readonly whileHidden: number }>;
  /** Waits until every read has its answer, and those have that a screen begins because of one. */
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
  // A message, because tests stop the timers. React draws in messages too.
  const nextTurn = () => new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = resolve;
    port2.postMessage(0);
  });
  const settle = async () => {
    do {
      await Promise.allSettled(pending);
      for (let turn = 0; turn < 20 && pending.size === 0; turn++) await nextTurn();
    } while (pending.size > 0);
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
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))`);
}
