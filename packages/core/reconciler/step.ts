import type { Context } from "../context.ts";
import type { ReconcileRequest } from "../ports/queue.ts";
import type { Stored } from "../ports/table.ts";

export type WorkerContext = Context<"table" | "queue" | "compute" | "volumes" | "blobs" | "sealer" | "githubKeys">;

export type PlannerContext = Context<"table" | "queue">;

/** The decision of a step: the new record, and the messages to send once it is written. */
export interface Step<Record> {
  readonly record: Record;
  /** Another record to write. Both are written, or neither if one was changed since it was read. */
  readonly alsoWrites?: Stored;
  readonly notify: readonly StepSend[];
  readonly log: string;
  /**
   * An action that cannot be repeated. The worker that wrote the claiming record runs it. Its errors are logged, and
   * the next reconcile finds the outcome.
   */
  readonly after?: (ctx: WorkerContext) => Promise<unknown>;
}

export interface StepSend {
  readonly key: { readonly pk: string; readonly sk: string };
  readonly for?: ReconcileRequest["for"];
}
