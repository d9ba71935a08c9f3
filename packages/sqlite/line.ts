import { popHeap, pushHeap } from "#core/heap.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { ReconcileRequest } from "#core/ports/queue.ts";
import { visibleMessages } from "./visible.ts";

export interface Message {
  readonly id: number;
  readonly look: ReconcileRequest;
  readonly text: string;
  /** Messages of a group are in flight one batch at a time. */
  readonly group: string | undefined;
  /** Time on the monotonic clock, which cannot be set. */
  readonly visibleAt: number;
}

export interface Line {
  add(message: Message): void;
  /**
   * Reports whether an ungrouped message with this text waits for its first receiver, which will act later than now.
   */
  holds(text: string): boolean;
  remove(id: number): void;
  /** Makes a message in flight visible again after this time. */
  release(id: number, afterMs: number): void;
  receive(most: number, signal: AbortSignal): Promise<Message[][]>;
  depth(): { visible: number; delayed: number };
}

interface Held {
  readonly message: Message;
  /** Current time; heap entries with another time are stale. */
  visibleAt: number;
  /** Its receiver acts before later messages are sent, so such a message does not stand for a new one. */
  wasReceived: boolean;
}

interface Moment {
  readonly held: Held;
  readonly at: number;
}

/** Longest timer, and more than any delay. */
const LONGEST_WAIT_MS = 3_600_000;

export function newLine(clock: Pick<Clock, "monotonic">, hiddenMs: number): Line {
  const all = new Map<number, Held>();
  const visible = visibleMessages<Message>();
  /** Times at which the others become visible, the next first. */
  const later: Moment[] = [];
  const out = new Set<number>();
  /** Newest ungrouped message by text, among those that were never received. */
  const newest = new Map<string, number>();
  const receivers = new Set<() => void>();
  let timer: NodeJS.Timeout | undefined;

  const showAt = (held: Held, at: number) => {
    held.visibleAt = at;
    pushHeap(later, { held, at }, isSooner);
  };
  const showWhatIsDue = () => {
    for (let next = later[0]; next && next.at <= clock.monotonic(); next = later[0]) {
      popHeap(later, isSooner);
      const { message, visibleAt, wasReceived } = next.held;
      if (next.at !== visibleAt || !all.has(message.id)) continue;
      out.delete(message.id);
      visible.putBack(message);
      visible.add(message);
      if (message.group === undefined && !wasReceived) newest.set(message.text, message.id);
    }
  };
  const forget = ({ text, id }: Message) => {
    if (newest.get(text) === id) newest.delete(text);
  };
  const takeOut = (most: number): Message[][] => {
    showWhatIsDue();
    const taken: Message[][] = [];
    while (taken.length < most) {
      const batch = visible.take();
      if (batch.length === 0) break;
      taken.push(batch);
      for (const message of batch) {
        const held = all.get(message.id) as Held;
        forget(message);
        out.add(message.id);
        held.wasReceived = true;
        showAt(held, clock.monotonic() + hiddenMs);
      }
    }
    return taken;
  };
  const wakeReceivers = () => {
    clearTimeout(timer);
    timer = undefined;
    if (receivers.size === 0) return;
    const next = visible.hasNext() ? 0 : (later[0]?.at ?? Number.POSITIVE_INFINITY) - clock.monotonic();
    timer = setTimeout(
      () => {
        for (const poll of [...receivers]) poll();
      },
      Math.min(Math.max(next, 0), LONGEST_WAIT_MS),
    );
  };

  return {
    add(message) {
      const held: Held = { message, visibleAt: message.visibleAt, wasReceived: false };
      all.set(message.id, held);
      showAt(held, message.visibleAt);
      wakeReceivers();
    },
    holds(text) {
      showWhatIsDue();
      return newest.has(text);
    },
    remove(id) {
      const held = all.get(id);
      if (held) {
        visible.remove(held.message);
        forget(held.message);
      }
      all.delete(id);
      out.delete(id);
      wakeReceivers();
    },
    release(id, afterMs) {
      const held = all.get(id);
      // A message that became visible again by timeout is not in flight any more.
      if (held && out.has(id)) showAt(held, clock.monotonic() + afterMs);
      wakeReceivers();
    },
    receive: (most, signal) => receiveFrom(() => takeOut(most), { signal, receivers, wakeReceivers }),
    depth() {
      showWhatIsDue();
      return { visible: visible.size, delayed: all.size - visible.size - out.size };
    },
  };
}

interface Waiting {
  readonly signal: AbortSignal;
  readonly receivers: Set<() => void>;
  wakeReceivers(): void;
}

function receiveFrom(take: () => Message[][], { signal, receivers, wakeReceivers }: Waiting): Promise<Message[][]> {
  return new Promise((resolve) => {
    const end = (batches: Message[][]) => {
      receivers.delete(poll);
      signal.removeEventListener("abort", stop);
      resolve(batches);
      wakeReceivers();
    };
    const stop = () => end([]);
    const poll = () => {
      const batches = signal.aborted ? [] : take();
      if (batches.length > 0 || signal.aborted) end(batches);
      else wakeReceivers();
    };
    signal.addEventListener("abort", stop);
    receivers.add(poll);
    poll();
  });
}

function isSooner(a: Moment, b: Moment): boolean {
  return a.at < b.at || (a.at === b.at && a.held.message.id < b.held.message.id);
}
