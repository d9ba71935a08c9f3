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

export function visibleMessages<Message extends Sent>(): Visible<Message> {
  const [hints, others] = [new Map<number, Message>(), new Map<number, Message>()];
  let next = hints;
  const groups = new Map<string, Group<Message>>();
  /** Names of groups with a message and none in flight, least recently served first. */
  const ready = new Set<string>();
  let grouped = 0;

  const getGroup = (name: string): Group<Message> => {
    const group = groups.get(name) ?? { ids: new Set(), heap: [], out: new Set() };
    groups.set(name, group);
    return group;
  };
  const settle = (name: string, { ids, out }: Group<Message>) => {
    if (ids.size > 0 && out.size === 0) ready.add(name);
    else ready.delete(name);
    if (ids.size === 0 && out.size === 0) groups.delete(name);
  };
  const takeSingle = (): Message | undefined => {
    const line = next.size > 0 ? next : otherThan(next);
    next = otherThan(line);
    for (const [id, message] of line) {
      line.delete(id);
      return message;
    }
    return undefined;
  };
  const otherThan = (line: Map<number, Message>) => (line === hints ? others : hints);
  const getTake = (name: string): Message[] => {
    const group = getGroup(name);
    const taken: Message[] = [];
    while (taken.length < MOST_OF_GROUP) {
      const first = popHeap(group.heap, isEarlier);
      if (!first) break;
      if (!group.ids.delete(first.id)) continue;
      taken.push(first);
      group.out.add(first.id);
    }
    grouped -= taken.length;
    settle(name, group);
    return taken;
  };
  const putBack = ({ id, group: name }: Message) => {
    const group = name === undefined ? undefined : groups.get(name);
    if (name !== undefined && group?.out.delete(id)) settle(name, group);
  };

  return {
    get size() {
      return hints.size + others.size + grouped;
    },
    add(message) {
      const { id, group: name, look: request } = message;
      if (name === undefined) return void (request.hint || request.fromHint ? hints : others).set(id, message);
      const group = getGroup(name);
      if (group.ids.has(id)) return;
      group.ids.add(id);
      grouped += 1;
      pushHeap(group.heap, message, isEarlier);
      settle(name, group);
    },
    remove(message) {
      const { id, group: name } = message;
      hints.delete(id);
      others.delete(id);
      putBack(message);
      const group = name === undefined ? undefined : groups.get(name);
      if (name === undefined || !group?.ids.delete(id)) return;
      grouped -= 1;
      settle(name, group);
    },
    putBack,
    hasNext: () => hints.size > 0 || others.size > 0 || ready.size > 0,
    take() {
      const single = takeSingle();
      if (single) return [single];
      for (const name of ready) return getTake(name);
      return [];
    },
  };
}

function isEarlier(left: Sent, right: Sent): boolean {
  return left.id < right.id;
}
