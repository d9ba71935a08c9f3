import type { Clock } from "#core/ports/clock.ts";
import type { Queue, QueueName, ReconcileRequest, SendOptions } from "#core/ports/queue.ts";
import { computeChecksum } from "./damage.ts";
import type { Database } from "./database.ts";
import { type Message, newLine } from "./line.ts";

/** The receiving side, for the loops that feed the consumers. */
export interface Receiver {
  /**
   * Up to `most` batches, at once or as soon as one can be received; none when `signal` aborts. A message of no group is a
   * batch of its own; of a group the first ones are, up to a hundred, and no others are out meanwhile. Each message is hidden
   * until it is acknowledged, released, or the visibility timeout is over.
   */
  receive(queue: QueueName, most: number, signal: AbortSignal): Promise<Message[][]>;
  /** Deletes a message that was dealt with. */
  acknowledge(queue: QueueName, id: number): Promise<void>;
  /** Shows a message again after this time. */
  release(queue: QueueName, id: number, afterMs: number): void;
}

export interface SqliteQueueOptions {
  readonly database: Database;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  /** Twice the longest look, so that a message comes again only when its consumer hangs. */
  readonly visibilityMs?: number;
}

/**
 * The queues of the embedded stack. The file holds every message until it is acknowledged. One of no group and without a
 * delay that says the same as one that waits for its first receiver is not kept: behind many jobs that is most of them.
 * Which messages are out is known in this process alone, so that after a crash all of them are visible again. A power cut
 * may lose the newest, which a sweep sends again.
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
      // Where it cannot be stored the message comes again after the next start, which costs a look and nothing else.
      lines[queue].remove(id);
      await database.writeSoon(() => remove.run(id));
    },
    release: (queue, id, afterMs) => lines[queue].release(id, afterMs),
  };
}

type StoredMessage = Message & { readonly queue: QueueName };

/** Nothing is delayed for longer than it can be, whatever happened to the wall clock meanwhile. */
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

/** Refuses what SQS would refuse. */
function requireOptions(queue: QueueName, { delaySeconds = 0, group }: SendOptions): void {
  if (!Number.isInteger(delaySeconds) || delaySeconds < 0 || delaySeconds > 900) {
    throw new Error(`A delay is 0 to 900 whole seconds, not ${delaySeconds}`);
  }
  if (queue === "pools" && delaySeconds !== 0) throw new Error("The queue pools takes no delay per message");
  if (queue === "pools" && !group) throw new Error("The queue pools needs a group");
  if (queue !== "pools" && group !== undefined) throw new Error(`The queue ${queue} knows no groups`);
}
