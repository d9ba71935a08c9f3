/** `webhooks` is apart from `work`, so that a slow receiver delays nobody else. */
export type QueueName = "work" | "pools" | "webhooks";

/** All that a message says: look at this record. `for` names environments that a look at a pool must consider. */
export interface Look {
  readonly look: string;
  readonly for?: readonly string[];
  /**
   * The world signalled a change: the record is looked at although it is not due
   * (docs/architecture/reconciliation.md).
   */
  readonly hint?: true;
  /** A look at such a hint found this one due at once. A queue may hand both out before what waits longer. */
  readonly fromHint?: true;
}

export interface SendOptions {
  /** 0 to 900. Refused on `pools`, which is FIFO and takes no delay per message. */
  readonly delaySeconds?: number;
  /** The message group; required on `pools`, unknown on `work`. */
  readonly group?: string;
}

export interface QueueDepth {
  /** Those that a worker could receive now. */
  readonly visible: number;
  /** Those whose delay is not over. */
  readonly delayed: number;
}

export interface Queue {
  send(queue: QueueName, message: Look, options?: SendOptions): Promise<void>;
  /** About how many messages wait undelivered. */
  depth(queue: QueueName): Promise<QueueDepth>;
}
