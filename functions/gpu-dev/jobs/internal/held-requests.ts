import type { Table } from "#core/ports/table.ts";

/** Bounds on requests that one process holds open (docs/apis/common.md#calls-that-wait). */
const bounds = {
  wait: { ofUser: 8, ofAll: 256 },
  stream: { ofUser: 8, ofAll: 128 },
} as const;

type HeldKind = keyof typeof bounds;

export interface HeldRequests {
  /** Returns a release function, or undefined if a limit is reached. */
  hold(kind: HeldKind, user: string): (() => void) | undefined;
  hasRoom(kind: HeldKind, user: string): boolean;
}

const byTable = new WeakMap<Table, HeldRequests>();

export function heldRequests(table: Table): HeldRequests {
  const held = byTable.get(table) ?? countHeld();
  byTable.set(table, held);
  return held;
}

function countHeld(): HeldRequests {
  const counts = { wait: new Map<string, number>(), stream: new Map<string, number>() };
  const hasRoom = (kind: HeldKind, user: string): boolean => {
    const { ofUser, ofAll } = bounds[kind];
    const all = [...counts[kind].values()].reduce((sum, count) => sum + count, 0);
    return (counts[kind].get(user) ?? 0) < ofUser && all < ofAll;
  };
  const add = (kind: HeldKind, user: string, change: 1 | -1): void => {
    const count = (counts[kind].get(user) ?? 0) + change;
    if (count > 0) counts[kind].set(user, count);
    else counts[kind].delete(user);
  };
  return {
    hasRoom,
    hold: (kind, user) => {
      if (!hasRoom(kind, user)) return undefined;
      add(kind, user, 1);
      let isHeld = true;
      return () => {
        if (isHeld) add(kind, user, -1);
        isHeld = false;
      };
    },
  };
}
