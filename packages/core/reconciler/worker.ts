import type { Context } from "../context.ts";
import type { Look } from "../ports/queue.ts";

/** What reconcile works with. */
export type WorkerContext = Context<"table" | "queue" | "compute" | "volumes" | "blobs" | "sealer" | "githubKeys">;

/** What planning works with: it never touches the cluster. */
export type PlannerContext = Context<"table" | "queue">;

/** What a step decided: the record as it shall be, and whom to tell once it is written. */
export interface Step<Record> {
  readonly record: Record;
  readonly notify: readonly StepSend[];
  /** What was done, for the log line. */
  readonly log: string;
  /**
   * What cannot be repeated: done once the record that claims it is written, by whoever wrote it. What it throws is
   * logged; the next look finds out what became of it.
   */
  readonly after?: (ctx: WorkerContext) => Promise<unknown>;
}

export interface StepSend {
  readonly key: { readonly pk: string; readonly sk: string };
  readonly for?: Look["for"];
}
