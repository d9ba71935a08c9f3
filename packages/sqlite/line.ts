import type { Clock, Look } from "#core/context.ts";
import { popHeap, pushHeap } from "#core/heap.ts";

export interface Message {
  /** In the order in which they were sent. */
  readonly id: number;
  readonly look: Look;
  /** Of a group one message is out at a time, the first. */
  readonly group: string | undefined;
  /** On the monotonic clock, which nobody can set. */
  readonly visibleAt: number;
}

/** The messages of one queue, as this process knows them. */
export interface Line {
  add(message: Message): void;
  remove(id: number): void;
  /** Shows a message that is out again after this time. */
  release(id: number, afterMs: number): void;
  /** Up to `most`, as soon as there is one; none when `signal` aborts. */
  receive(most: number, signal: AbortSignal): Promise<Message[]>;
  depth(): { visible: number; delayed: number };
}

interface Held {
  readonly message: Message;
  /** A message moves: what is in the heap under another time is not so any more. */
  visibleAt: number;
  isOut: boolean;
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
  const visible = new Map<number, Held>();
  /** When the others become visible, the next one first. */
  const later: Moment[] = [];
  const groupsOut = new Map<string, number>();
  const receivers = new Set<() => void>();
  let timer: NodeJS.Timeout | undefined;

  const showAt = (held: Held, at: number) => {
    held.visibleAt = at;
    visible.delete(held.message.id);
    pushHeap(later, { held, at }, isSooner);
    wakeReceivers();
  };
  const showWhatIsDue = () => {
    for (let next = later[0]; next && next.at <= clock.monotonic(); next = later[0]) {
      popHeap(later, isSooner);
      if (next.at !== next.held.visibleAt || !all.has(next.held.message.id)) continue;
      next.held.isOut = false;
      leaveGroup(next.held.message);
      visible.set(next.held.message.id, next.held);
    }
  };
  const leaveGroup = ({ id, group }: Message) => {
    if (group !== undefined && groupsOut.get(group) === id) groupsOut.delete(group);
  };
  const takeOut = (most: number): Message[] => {
    showWhatIsDue();
    const taken: Message[] = [];
    for (const held of inOrder(visible)) {
      if (taken.length >= most) break;
      const { id, group } = held.message;
      if (isBlocked(held.message)) continue;
      if (group !== undefined) groupsOut.set(group, id);
      held.isOut = true;
      taken.push(held.message);
    }
    for (const { id } of taken) showAt(all.get(id) as Held, clock.monotonic() + hiddenMs);
    return taken;
  };
  /** Lets those who wait look again: now for what is visible, and when the next message becomes so. */
  const wakeReceivers = () => {
    clearTimeout(timer);
    timer = undefined;
    if (receivers.size === 0) return;
    const hasMore = [...visible.values()].some(({ message }) => !isBlocked(message));
    const next = hasMore ? 0 : (later[0]?.at ?? Number.POSITIVE_INFINITY) - clock.monotonic();
    timer = setTimeout(
      () => {
        for (const look of [...receivers]) look();
      },
      Math.min(Math.max(next, 0), LONGEST_WAIT_MS),
    );
  };
  const isBlocked = ({ group }: Message) => group !== undefined && groupsOut.has(group);

  return {
    add(message) {
      const held: Held = { message, visibleAt: message.visibleAt, isOut: false };
      all.set(message.id, held);
      showAt(held, message.visibleAt);
    },
    remove(id) {
      const held = all.get(id);
      if (held) leaveGroup(held.message);
      all.delete(id);
      visible.delete(id);
      wakeReceivers();
    },
    release(id, afterMs) {
      const held = all.get(id);
      if (held) showAt(held, clock.monotonic() + afterMs);
    },
    receive: (most, signal) => receiveFrom(() => takeOut(most), { signal, receivers, wakeReceivers }),
    depth() {
      showWhatIsDue();
      const out = [...all.values()].filter(({ isOut }) => isOut).length;
      return { visible: visible.size, delayed: all.size - visible.size - out };
    },
  };
}

interface Waiting {
  readonly signal: AbortSignal;
  readonly receivers: Set<() => void>;
  wakeReceivers(): void;
}

function receiveFrom(take: () => Message[], { signal, receivers, wakeReceivers }: Waiting): Promise<Message[]> {
  return new Promise((resolve) => {
    const end = (messages: Message[]) => {
      receivers.delete(look);
      signal.removeEventListener("abort", stop);
      resolve(messages);
      wakeReceivers();
    };
    const stop = () => end([]);
    const look = () => {
      const messages = signal.aborted ? [] : take();
      if (messages.length > 0 || signal.aborted) end(messages);
      else wakeReceivers();
    };
    signal.addEventListener("abort", stop);
    receivers.add(look);
    look();
  });
}

/** What came back is received before what was sent after it. */
function inOrder(visible: Map<number, Held>): Held[] {
  return [...visible.values()].sort((a, b) => a.message.id - b.message.id);
}

function isSooner(a: Moment, b: Moment): boolean {
  return a.at < b.at || (a.at === b.at && a.held.message.id < b.held.message.id);
}
