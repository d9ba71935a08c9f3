import { readFileSync } from "node:fs";

/** TCP_LISTEN of the kernel's include/net/tcp_states.h. */
const listening = "0A";
/** 127.0.0.1 and all addresses, as /proc/net/tcp and tcp6 say them (proc(5)): words of the processor's own order. */
const addresses = new Set([
  ...["0100007F", "00000000"],
  ...["0000000000000000FFFF00000100007F", "00000000000000000000000000000000"],
]);

/** Whether somebody listens on this port of 127.0.0.1 in the network of this process. */
export function listensInside(pid: number, port: number): boolean {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  return ["tcp", "tcp6"]
    .flatMap((name) => linesOf(`/proc/${pid}/net/${name}`))
    .some((line) => {
      const [, local = "", , state] = line.trim().split(/\s+/);
      const [address = "", port] = local.split(":");
      return state === listening && port === wanted && addresses.has(address);
    });
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return [];
  }
}
