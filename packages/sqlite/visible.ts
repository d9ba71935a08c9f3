import { popHeap, pushHeap } from "#core/heap.ts";
import type { ReconcileRequest } from "#core/ports/queue.ts";

interface Sent {
  readonly id: number;
  readonly group: string | undefined;
  readonly look: Pick<ReconcileRequest, "hint" | "fromHint">;
}

/**
 * Receivable messages: ungrouped ones in the order of arrival, and the first of each group while none of it is in
 * flight. Hints alternate with others, since most report that a command has ended and its GPUs are free.
 */
export interface Visible<Message extends Sent> {
  readonly size: number;
  add(message: Message): void;
  remove(message: Message): void;
  putBack(message: Message): void;
  hasNext(): boolean;
  /** Returns an ungrouped message or the first ones of a group; empty if nothing can be received. */
  take(): Message[];
}

/** SQS delivers at most ten messages of a FIFO queue. Here messages cost nothing, and fewer plans are better. */
const MOST_OF_GROUP = 100;

interface Group<Message> {
  readonly ids: Set<number>;
  /** Includes removed messages. */
  readonly heap: Message[];
  readonly out: Set<number>;
}

interface VisibleState<Message> {
  readonly hints: Map<number, Message>;
  readonly others: Map<number, Message>;
  /** The one of the two whose turn it is. */
  turn: "hints" | "others";
  readonly groups: Map<string, Group<Message>>;
  /** Names of groups with a message and none in flight, least recently served first. */
  readonly ready: Set<string>;
  /** Number of visible messages in all groups. */
  grouped: number;
}

export function visibleMessages<Message extends Sent>(): Visible<Message> {
  const state: VisibleState<Message> = {
    hints: new Map(),
    others: new Map(),
    turn: "hints",
    groups: new Map(),
    ready: new Set(),
    grouped: 0,
  };
  const { hints, others, ready } = state;
  return {
    get size() {
      return hints.size + others.size + state.grouped;
    },
    add: (message) => addMessage(state, message),
    remove: (message) => removeMessage(state, message),
    putBack: (message) => putBack(state, message),
    hasNext: () => hints.size > 0 || others.size > 0 || ready.size > 0,
    take() {
      const single = takeSingle(state);
      if (single) return [single];
      for (const name of ready) return takeGroup(state, name);
      return [];
    },
  };
}

function addMessage<Message extends Sent>(state: VisibleState<Message>, message: Message): void {
  const { id, group: name, look: request } = message;
  if (name === undefined) {
    state[request.hint || request.fromHint ? "hints" : "others"].set(id, message);
    return;
  }
  const group = getGroup(state, name);
  if (group.ids.has(id)) return;
  group.ids.add(id);
  state.grouped += 1;
  pushHeap(group.heap, message, isEarlier);
  settle(state, name, group);
}

function removeMessage<Message extends Sent>(state: VisibleState<Message>, message: Message): void {
  const { id, group: name } = message;
  state.hints.delete(id);
  state.others.delete(id);
  putBack(state, message);
  const group = name === undefined ? undefined : state.groups.get(name);
  if (name === undefined || !group?.ids.delete(id)) return;
  state.grouped -= 1;
  settle(state, name, group);
}

function putBack<Message extends Sent>(state: VisibleState<Message>, { id, group: name }: Message): void {
  const group = name === undefined ? undefined : state.groups.get(name);
  if (name !== undefined && group?.out.delete(id)) settle(state, name, group);
}

function takeSingle<Message>(state: VisibleState<Message>): Message | undefined {
  const line = state[state.turn].size > 0 ? state.turn : otherThan(state.turn);
  state.turn = otherThan(line);
  for (const [id, message] of state[line]) {
    state[line].delete(id);
    return message;
  }
  return undefined;
}

function otherThan(line: "hints" | "others"): "hints" | "others" {
  return line === "hints" ? "others" : "hints";
}

function takeGroup<Message extends Sent>(state: VisibleState<Message>, name: string): Message[] {
  const group = getGroup(state, name);
  const taken: Message[] = [];
  while (taken.length < MOST_OF_GROUP) {
    const first = popHeap(group.heap, isEarlier);
    if (!first) break;
    if (!group.ids.delete(first.id)) continue;
    taken.push(first);
    group.out.add(first.id);
  }
  state.grouped -= taken.length;
  settle(state, name, group);
  return taken;
}

function getGroup<Message>({ groups }: VisibleState<Message>, name: string): Group<Message> {
  const group = groups.get(name) ?? { ids: new Set(), heap: [], out: new Set() };
  groups.set(name, group);
  return group;
}

/** Updates whether a group can be received, and forgets an empty one. */
function settle<Message>({ groups, ready }: VisibleState<Message>, name: string, { ids, out }: Group<Message>): void {
  if (ids.size > 0 && out.size === 0) ready.add(name);
  else ready.delete(name);
  if (ids.size === 0 && out.size === 0) groups.delete(name);
}

function isEarlier(left: Sent, right: Sent): boolean {
  return left.id < right.id;
}
