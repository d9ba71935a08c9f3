import type { InterruptionKind } from "./compute.ts";

/** `webhooks` is separate from `work`, so that a slow receiver delays no other record. */
export type QueueName = "work" | "pools" | "webhooks";

/** A message: reconcile this record. `for` names environments that the plan of a pool must consider. */
export interface ReconcileRequest {
  readonly look: string;
  readonly for?: readonly string[];
  /**
   * Reconcile even if the record is not due, because an outside change was reported
   * (docs/architecture/reconciliation.md).
   */
  readonly hint?: true;
  /** Sent while a hint was handled, because the record is due at once. A queue may deliver both first. */
  readonly fromHint?: true;
  /** A provider's notice was stored about a machine of this environment. Other hints do not read the notice. */
  readonly interrupted?: true;
  /** Set in messages of the provider only. `look` then names no record. */
  readonly notice?: MachineNotice;
}

/** A provider's notice that it takes a machine back. */
export interface MachineNotice {
  /** The machine's id, which is the last part of its provider id: `i-0123456789abcdef0`. */
  readonly machine: string;
  readonly kind: InterruptionKind;
  /** When the provider sent it, ms. */
  readonly at: number;
}

export interface SendOptions {
  /** 0 to 900. Rejected on `pools`, a FIFO queue without delays per message. */
  readonly delaySeconds?: number;
  /** The message group. Required on `pools`, unknown on `work`. */
  readonly group?: string;
}

export interface QueueDepth {
  /** Messages that a worker could receive now. */
  readonly visible: number;
  /** Messages whose delay is not over. */
  readonly delayed: number;
}

export interface Queue {
  send(queue: QueueName, message: ReconcileRequest, options?: SendOptions): Promise<void>;
  depth(queue: QueueName): Promise<QueueDepth>;
}
