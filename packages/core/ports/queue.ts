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
