import type { Duplex } from "node:stream";
import { refuseConnection } from "#http/request/connection-limit.ts";

/** Returns what counts a connection of this user until it is closed. That throws a Problem where there are too many. */
export function connectionCounts(): (uid: string, socket: Duplex) => void {
  const counts = new Map<string, number>();
  return (uid, socket) => {
    const open = counts.get(uid) ?? 0;
    refuseConnection(open);
    // Its client hung up while it was judged: nothing would count it down.
    if (socket.closed) return;
    counts.set(uid, open + 1);
    socket.once("close", () => {
      const left = (counts.get(uid) ?? 1) - 1;
      if (left > 0) counts.set(uid, left);
      else counts.delete(uid);
    });
  };
}
