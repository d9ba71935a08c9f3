import { keptItems } from "../data/kept-items.ts";

/** A terminal that a page of this tab leaves to the next one. */
export interface KeptTerminal {
  readonly id: string;
  /** How many bytes of its output the page has drawn. */
  readonly drawn: number;
}

const item = (jobId: string) => `berth.terminal.${jobId}`;

/**
 * Returns the terminal that the last page of this tab left, and removes it. A duplicated tab starts with a copy of the
 * storage. The copy is empty while a page shows the terminal, so the duplicate opens its own and replaces no viewer.
 */
export function takeTerminal(jobId: string): KeptTerminal | undefined {
  return keptItems.take<KeptTerminal>("sessionStorage", item(jobId));
}

export function keepTerminal(jobId: string, terminal: KeptTerminal): void {
  keptItems.write("sessionStorage", item(jobId), JSON.stringify(terminal));
}
