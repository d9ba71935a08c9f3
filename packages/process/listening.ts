import { closeSync, openSync, readSync } from "node:fs";

/** TCP_LISTEN of the kernel's include/net/tcp_states.h. */
const listening = "0A";
/** 127.0.0.1 and all addresses, as /proc/net/tcp and tcp6 say them (proc(5)): words of the processor's own order. */
const addresses = new Set([
  "0100007F",
  "00000000",
  "0000000000000000FFFF00000100007F",
  "00000000000000000000000000000000",
]);

/** Those that listen come first, and a line has 150 bytes: a command may have made millions of the others. */
const readBytes = 1024 * 1024;

/** Whether somebody listens on this port of 127.0.0.1 in the network of this process. */
export function listensInside(pid: number, port: number, mostBytes = readBytes): boolean {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  return ["tcp", "tcp6"]
    .flatMap((name) => linesOf(`/proc/${pid}/net/${name}`, mostBytes))
    .some((line) => {
      const [, local = "", , state] = line.trim().split(/\s+/);
      const [address = "", port] = local.split(":");
      return state === listening && port === wanted && addresses.has(address);
    });
}

function linesOf(path: string, mostBytes: number): string[] {
  try {
    return beginningOf(path, mostBytes).split("\n");
  } catch {
    return [];
  }
}

/** The kernel gives such a file in parts. */
function beginningOf(path: string, mostBytes: number): string {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.allocUnsafe(mostBytes);
    let length = 0;
    for (let part = -1; part !== 0 && length < mostBytes; length += part) {
      part = readSync(file, bytes, length, mostBytes - length, null);
    }
    return bytes.toString("latin1", 0, length);
  } finally {
    closeSync(file);
  }
}
