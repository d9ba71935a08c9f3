import { popHeap, pushHeap } from "#core/heap.ts";

interface Sent {
  readonly id: number;
  readonly group: string | undefined;
}

/**
 * The messages that can be received: those of no group in the order in which they came, and of each group the one that was
 * sent first while none of it is out. Whatever is waiting, taking one costs about the same.
 */
export interface Visible<Message extends Sent> {
  readonly size: number;
  add(message: Message): void;
  /** For one that is deleted, whether it is visible, out, or neither. */
  remove(message: Message): void;
  /** Says that a message that was taken is not out any more. */
  putBack(message: Message): void;
  hasNext(): boolean;
  take(): Message | undefined;
}

interface Group<Message> {
  readonly ids: Set<number>;
  /** The one sent first in front; also those that were removed meanwhile. */
  readonly heap: Message[];
  out: number | undefined;
}

export function visibleMessages<Message extends Sent>(): Visible<Message> {
  const single = new Map<number, Message>();
  const groups = new Map<string, Group<Message>>();
  /** Names of groups with a message and none out; who was served goes to the end. */
  const ready = new Set<string>();
  let grouped = 0;

  const groupOf = (name: string): Group<Message> => {
    const group = groups.get(name) ?? { ids: new Set(), heap: [], out: undefined };
    groups.set(name, group);
    return group;
  };
  const settle = (name: string, { ids, out }: Group<Message>) => {
    if (ids.size > 0 && out === undefined) ready.add(name);
    else ready.delete(name);
    if (ids.size === 0 && out === undefined) groups.delete(name);
  };
  const takeOf = (name: string): Message | undefined => {
    const group = groupOf(name);
    let first = popHeap(group.heap, isEarlier);
    while (first && !group.ids.has(first.id)) first = popHeap(group.heap, isEarlier);
    if (!first) return undefined;
    group.ids.delete(first.id);
    grouped -= 1;
    group.out = first.id;
    settle(name, group);
    return first;
  };
  const putBack = ({ id, group: name }: Message) => {
    const group = name === undefined ? undefined : groups.get(name);
    if (name === undefined || group?.out !== id) return;
    group.out = undefined;
    settle(name, group);
  };

  return {
    get size() {
      return single.size + grouped;
    },
    add(message) {
      const { id, group: name } = message;
      if (name === undefined) return void single.set(id, message);
      const group = groupOf(name);
      if (group.ids.has(id)) return;
      group.ids.add(id);
      grouped += 1;
      pushHeap(group.heap, message, isEarlier);
      settle(name, group);
    },
    remove(message) {
      const { id, group: name } = message;
      single.delete(id);
      putBack(message);
      const group = name === undefined ? undefined : groups.get(name);
      if (name === undefined || !group?.ids.delete(id)) return;
      grouped -= 1;
      settle(name, group);
    },
    putBack,
    hasNext: () => single.size > 0 || ready.size > 0,
    take() {
      for (const [id, message] of single) {
        single.delete(id);
        return message;
      }
      for (const name of ready) return takeOf(name);
      return undefined;
    },
  };
}

function isEarlier(one: Sent, other: Sent): boolean {
  return one.id < other.id;
}
