import type { Clock } from "#core/ports/clock.ts";
import type { Queue, QueueName, ReconcileRequest, SendOptions } from "#core/ports/queue.ts";
import { computeChecksum } from "./damage.ts";
import type { Database } from "./database.ts";
import { type Message, newLine } from "./line.ts";

/** Receiving side of the queues, for the consumers' loops. */
export interface Receiver {
  /**
   * Returns up to `most` batches as soon as there is one; none when `signal` aborts. An ungrouped message is its own
   * batch. A group's batch has up to 100 messages, and only one is in flight. Messages stay hidden until they are
   * acknowledged, released, or time out.
   */
  receive(queue: QueueName, most: number, signal: AbortSignal): Promise<Message[][]>;
  acknowledge(queue: QueueName, id: number): Promise<void>;
  /** Makes a message visible again after this time. */
  release(queue: QueueName, id: number, afterMs: number): void;
}

export interface SqliteQueueOptions {
  readonly database: Database;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  /** Twice the longest reconcile, so a message is delivered again only if its consumer hangs. */
  readonly visibilityMs?: number;
}

/**
 * Implements the queues of the embedded stack. An ungrouped message without delay is dropped if an equal one waits for
 * its first receiver. A crash makes messages in flight visible; a power cut may lose the newest, which a sweep sends
 * again.
 */
export function sqliteQueue({ database, clock, visibilityMs = 60_000 }: SqliteQueueOptions): Queue & Receiver {
  const insert = database.prepare(
    'INSERT INTO messages (queue, "group", look, visible_at, sum) VALUES (?, ?, ?, ?, ?)',
  );
  const remove = database.prepare("DELETE FROM messages WHERE id = ?");
  const line = () => newLine(clock, visibilityMs);
  const lines = { work: line(), pools: line(), webhooks: line() };
  for (const { queue, ...message } of storedMessages(database, clock)) lines[queue].add(message);
  return {
    async send(queue, message, options = {}) {
      requireOptions(queue, options);
      const { delaySeconds = 0, group } = options;
      const [text, delayMs] = [JSON.stringify(message), delaySeconds * 1000];
      if (delayMs === 0 && group === undefined && lines[queue].holds(text)) return;
      const row = [queue, group ?? null, text, clock.now() + delayMs];
      const id = await database.writeSoon(() => Number(insert.run(...row, computeChecksum(row)).lastInsertRowid));
      lines[queue].add({
        id,
        group,
        text,
        look: JSON.parse(text) as ReconcileRequest,
        visibleAt: clock.monotonic() + delayMs,
      });
    },
    depth: async (queue) => lines[queue].depth(),
    receive: (queue, most, signal) => lines[queue].receive(most, signal),
    async acknowledge(queue, id) {
      // If this cannot be stored, the message is delivered again after the next start, which costs one reconcile.
      lines[queue].remove(id);
      await database.writeSoon(() => remove.run(id));
    },
    release: (queue, id, afterMs) => lines[queue].release(id, afterMs),
  };
}

type StoredMessage = Message & { readonly queue: QueueName };

/** Reads the stored messages. Limits their delays, because the wall clock may have changed. */
function storedMessages(database: Database, clock: SqliteQueueOptions["clock"]): StoredMessage[] {
  const [now, start] = [clock.now(), clock.monotonic()];
  const rows = database.read(() => database.prepare("SELECT * FROM messages ORDER BY id").all());
  return rows.map(({ id, queue, group, look: message, visible_at: visibleAt }) => ({
    id: Number(id),
    queue: queue as QueueName,
    group: group === null ? undefined : String(group),
    look: JSON.parse(String(message)) as ReconcileRequest,
    text: String(message),
    visibleAt: start + Math.min(Math.max(Number(visibleAt) - now, 0), LONGEST_DELAY_MS),
  }));
}

const LONGEST_DELAY_MS = 900_000;

/** Throws for options that SQS would refuse. */
function requireOptions(queue: QueueName, { delaySeconds = 0, group }: SendOptions): void {
  if (!Number.isInteger(delaySeconds) || delaySeconds < 0 || delaySeconds > 900) {
    throw new Error(`A delay must be 0 to 900 whole seconds, not ${delaySeconds}`);
  }
  if (queue === "pools" && delaySeconds !== 0) throw new Error("The queue pools takes no delay per message");
  if (queue === "pools" && !group) throw new Error("The queue pools needs a group");
  if (queue !== "pools" && group !== undefined) throw new Error(`The queue ${queue} has no groups`);
}
