import { popHeap, pushHeap } from "#core/heap.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { ReconcileRequest } from "#core/ports/queue.ts";
import { visibleMessages } from "./visible.ts";

export interface Message {
  /** In the order in which they were sent. */
  readonly id: number;
  readonly look: ReconcileRequest;
  /** The look as it was sent. */
  readonly text: string;
  /** Of a group the first ones are out together, and no others meanwhile. */
  readonly group: string | undefined;
  /** On the monotonic clock, which nobody can set. */
  readonly visibleAt: number;
}

/** The messages of one queue, as this process knows them. */
export interface Line {
  add(message: Message): void;
  /** Whether a message of no group that says this waits for its first receiver, who looks later than now. */
  holds(text: string): boolean;
  remove(id: number): void;
  /** Shows a message that is out again after this time. */
  release(id: number, afterMs: number): void;
  /** Up to `most` batches, as soon as there is one; none when `signal` aborts. */
  receive(most: number, signal: AbortSignal): Promise<Message[][]>;
  depth(): { visible: number; delayed: number };
}

interface Held {
  readonly message: Message;
  /** A message moves: what is in the heap under another time is not so any more. */
  visibleAt: number;
  /** Whoever received it may acknowledge it however late, and looked before whatever was sent meanwhile. */
  wasReceived: boolean;
}

interface Moment {
  readonly held: Held;
  readonly at: number;
}

/** The longest time that a timer waits, and more than any delay. */
const LONGEST_WAIT_MS = 3_600_000;

/** A line of messages, each hidden for so long when it is received. */
export function newLine(clock: Pick<Clock, "monotonic">, hiddenMs: number): Line {
  const all = new Map<number, Held>();
  /** Those that can be received. */
  const visible = visibleMessages<Message>();
  /** When the others become visible, the next one first. */
  const later: Moment[] = [];
  const out = new Set<number>();
  /** Of those of no group that can be received for the first time, the newest by what it says. */
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
  /** Lets those who wait look again: now for what is visible, and when the next message becomes so. */
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
      // One that became visible by itself meanwhile is nobody's to give back.
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
