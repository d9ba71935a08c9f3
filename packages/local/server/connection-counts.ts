import type { Duplex } from "node:stream";
import { refuseConnection } from "#http/request/connection-limit.ts";

/** Returns a function that counts a user's open connections. It throws a Problem if there are too many. */
export function connectionCounts(): (uid: string, socket: Duplex) => void {
  const counts = new Map<string, number>();
  return (uid, socket) => {
    const open = counts.get(uid) ?? 0;
    refuseConnection(open);
    // The client hung up during the check, so no close event would decrement the count.
    if (socket.closed) return;
    counts.set(uid, open + 1);
    socket.once("close", () => {
      const left = (counts.get(uid) ?? 1) - 1;
      if (left > 0) counts.set(uid, left);
      else counts.delete(uid);
    });
  };
}
