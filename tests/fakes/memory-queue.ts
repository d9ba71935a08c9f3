import type { Clock } from "#core/ports/clock.ts";
import type { Queue, QueueName, ReconcileRequest, SendOptions } from "#core/ports/queue.ts";
import { copyOfData } from "../fixtures/plain-data.ts";

interface ReceivedMessage {
  readonly id: string;
  readonly look: ReconcileRequest;
  readonly group: string | undefined;
  /** Number of receives, including this one. */
  readonly receives: number;
}

export interface MemoryQueue extends Queue {
  /** Returns visible messages, and hides them for the visibility timeout. A group continues only after its first. */
  receive(queue: QueueName, max: number): ReceivedMessage[];
  /** Deletes a handled message. Does nothing if it is gone. */
  acknowledge(queue: QueueName, id: string): void;
  /** Makes a message visible again at once. */
  release(queue: QueueName, id: string): void;
  /** Returns the next time at which `receive` may find a message, in milliseconds since the epoch. */
  nextAt(queue: QueueName): number | undefined;
  /** Returns the number of messages sent to all queues so far. */
  sent(): number;
  /** Counts waiting and in-flight messages by record. Chains of reconciles merge, so this stays small. */
  outstanding(): ReadonlyMap<string, number>;
}

interface Message {
  readonly id: string;
  readonly look: ReconcileRequest;
  readonly group: string | undefined;
  visibleAt: number;
  receives: number;
  inFlight: boolean;
}

/** Queues in memory on the given clock. */
export function memoryQueue(options: {
  readonly clock: Pick<Clock, "now">;
  readonly visibilitySeconds?: number;
}): MemoryQueue {
  const { clock, visibilitySeconds = 60 } = options;
  const queues: Record<QueueName, Map<string, Message>> = { work: new Map(), pools: new Map(), webhooks: new Map() };
  let sent = 0;
  return {
    async send(queue, request, sendOptions = {}) {
      requireOptions(queue, sendOptions);
      const id = `m${++sent}`;
      const visibleAt = clock.now() + (sendOptions.delaySeconds ?? 0) * 1000;
      const message = {
        id,
        look: copyOfData(request),
        group: sendOptions.group,
        visibleAt,
        receives: 0,
        inFlight: false,
      };
      queues[queue].set(id, message);
    },
    sent: () => sent,
    outstanding() {
      const counts = new Map<string, number>();
      for (const { look: message } of Object.values(queues).flatMap((messages) => [...messages.values()])) {
        counts.set(message.look, (counts.get(message.look) ?? 0) + 1);
      }
      return counts;
    },
    async depth(queue) {
      const messages = [...queues[queue].values()];
      const visible = messages.filter(({ visibleAt }) => visibleAt <= clock.now()).length;
      const delayed = messages.filter(({ inFlight, visibleAt }) => !inFlight && visibleAt > clock.now()).length;
      return { visible, delayed };
    },
    receive(queue, max) {
      const found = firstReceivable(queues[queue], clock.now(), max);
      for (const message of found) {
        message.visibleAt = clock.now() + visibilitySeconds * 1000;
        message.inFlight = true;
        message.receives += 1;
      }
      return found.map(({ id, look: message, group, receives }) => ({
        id,
        look: copyOfData(message),
        group,
        receives,
      }));
    },
    acknowledge(queue, id) {
      queues[queue].delete(id);
    },
    release(queue, id) {
      const message = queues[queue].get(id);
      if (message) Object.assign(message, { visibleAt: clock.now(), inFlight: false });
    },
    nextAt(queue) {
      let next: number | undefined;
      let groups: Set<string> | undefined;
      for (const { group, visibleAt } of queues[queue].values()) {
        // Only the first message of a group counts. The simulator calls this at every step, so it creates no objects.
        if (group !== undefined && groups?.has(group)) continue;
        if (group !== undefined) groups = (groups ?? new Set()).add(group);
        if (next === undefined || visibleAt < next) next = visibleAt;
      }
      return next;
    },
  };
}

/** Throws for options that SQS would refuse. */
function requireOptions(queue: QueueName, { delaySeconds = 0, group }: SendOptions): void {
  if (!Number.isInteger(delaySeconds) || delaySeconds < 0 || delaySeconds > 900) {
    throw new Error(`A delay must be 0 to 900 whole seconds, not ${delaySeconds}`);
  }
  if (queue === "pools" && delaySeconds !== 0) throw new Error("The queue pools takes no delay per message");
  if (queue === "pools" && !group) throw new Error("The queue pools needs a group");
  if (queue === "work" && group !== undefined) throw new Error("The queue work has no groups");
}

/** Returns the first messages in the order sent, and none of a group with a message in flight. */
function firstReceivable(messages: ReadonlyMap<string, Message>, now: number, max: number): Message[] {
  const blocked = groupsInFlight(messages, now);
  const found: Message[] = [];
  for (const message of messages.values()) {
    if (found.length >= max) break;
    if (message.visibleAt <= now && !(message.group && blocked.has(message.group))) found.push(message);
  }
  return found;
}

function groupsInFlight(messages: ReadonlyMap<string, Message>, now: number): Set<string> {
  const groups = new Set<string>();
  for (const { group, inFlight, visibleAt } of messages.values()) {
    if (group && inFlight && visibleAt > now) groups.add(group);
  }
  return groups;
}
