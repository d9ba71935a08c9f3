import { popHeap, pushHeap } from "#core/heap.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { ReconcileRequest } from "#core/ports/queue.ts";
import { type Visible, visibleMessages } from "./visible.ts";

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

interface LineState {
  readonly clock: Pick<Clock, "monotonic">;
  readonly hiddenMs: number;
  readonly all: Map<number, Held>;
  readonly visible: Visible<Message>;
  /** Times at which the others become visible, the next first. */
  readonly later: Moment[];
  /** Ids of the messages in flight. */
  readonly out: Set<number>;
  /** Newest ungrouped message by text, among those that were never received. */
  readonly newest: Map<string, number>;
  readonly receivers: Set<() => void>;
  timer: NodeJS.Timeout | undefined;
}

export function newLine(clock: Pick<Clock, "monotonic">, hiddenMs: number): Line {
  const line: LineState = {
    clock,
    hiddenMs,
    all: new Map(),
    visible: visibleMessages(),
    later: [],
    out: new Set(),
    newest: new Map(),
    receivers: new Set(),
    timer: undefined,
  };
  const { all, visible, newest, out } = line;
  return {
    add(message) {
      const held: Held = { message, visibleAt: message.visibleAt, wasReceived: false };
      all.set(message.id, held);
      showAt(line, held, message.visibleAt);
      wakeReceivers(line);
    },
    holds(text) {
      showWhatIsDue(line);
      return newest.has(text);
    },
    remove(id) {
      removeMessage(line, id);
      wakeReceivers(line);
    },
    release(id, afterMs) {
      const held = all.get(id);
      // A message that became visible again by timeout is not in flight any more.
      if (held && out.has(id)) showAt(line, held, clock.monotonic() + afterMs);
      wakeReceivers(line);
    },
    receive: (most, signal) => receiveFrom(line, most, signal),
    depth() {
      showWhatIsDue(line);
      return { visible: visible.size, delayed: all.size - visible.size - out.size };
    },
  };
}

function showAt({ later }: LineState, held: Held, at: number): void {
  held.visibleAt = at;
  pushHeap(later, { held, at }, isSooner);
}

function showWhatIsDue({ clock, all, visible, later, out, newest }: LineState): void {
  for (let next = later[0]; next && next.at <= clock.monotonic(); next = later[0]) {
    popHeap(later, isSooner);
    const { message, visibleAt, wasReceived } = next.held;
    if (next.at !== visibleAt || !all.has(message.id)) continue;
    out.delete(message.id);
    visible.putBack(message);
    visible.add(message);
    if (message.group === undefined && !wasReceived) newest.set(message.text, message.id);
  }
}

function takeOut(line: LineState, most: number): Message[][] {
  showWhatIsDue(line);
  const taken: Message[][] = [];
  while (taken.length < most) {
    const batch = line.visible.take();
    if (batch.length === 0) break;
    taken.push(batch);
    for (const message of batch) {
      const held = line.all.get(message.id) as Held;
      forgetText(line, message);
      line.out.add(message.id);
      held.wasReceived = true;
      showAt(line, held, line.clock.monotonic() + line.hiddenMs);
    }
  }
  return taken;
}

function removeMessage(line: LineState, id: number): void {
  const held = line.all.get(id);
  if (held) {
    line.visible.remove(held.message);
    forgetText(line, held.message);
  }
  line.all.delete(id);
  line.out.delete(id);
}

function forgetText({ newest }: LineState, { text, id }: Message): void {
  if (newest.get(text) === id) newest.delete(text);
}

/** Lets the receivers poll when the next message becomes visible. */
function wakeReceivers(line: LineState): void {
  const { clock, visible, later, receivers } = line;
  clearTimeout(line.timer);
  line.timer = undefined;
  if (receivers.size === 0) return;
  const next = visible.hasNext() ? 0 : (later[0]?.at ?? Number.POSITIVE_INFINITY) - clock.monotonic();
  line.timer = setTimeout(
    () => {
      for (const poll of [...receivers]) poll();
    },
    Math.min(Math.max(next, 0), LONGEST_WAIT_MS),
  );
}

function receiveFrom(line: LineState, most: number, signal: AbortSignal): Promise<Message[][]> {
  return new Promise((resolve) => {
    const end = (batches: Message[][]) => {
      line.receivers.delete(poll);
      signal.removeEventListener("abort", stop);
      resolve(batches);
      wakeReceivers(line);
    };
    const stop = () => end([]);
    const poll = () => {
      const batches = signal.aborted ? [] : takeOut(line, most);
      if (batches.length > 0 || signal.aborted) end(batches);
      else wakeReceivers(line);
    };
    signal.addEventListener("abort", stop);
    line.receivers.add(poll);
    poll();
  });
}

function isSooner(a: Moment, b: Moment): boolean {
  return a.at < b.at || (a.at === b.at && a.held.message.id < b.held.message.id);
}
