import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";

/**
 * Whether a connection to a port of this machine's loopback comes from a process of our own user, or of root: as with a
 * socket in a directory of ours, nobody else gets in. Where the kernel does not say (only Linux does) everybody does.
 */
export async function isOwnPeer(socket: Socket, ownUser = process.getuid?.()): Promise<boolean> {
  if (process.platform !== "linux" || ownUser === undefined) return true;
  const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
  const ends = { client: `${remoteAddress}:${remotePort}`, server: `${localAddress}:${localPort}` };
  for (const read of tables) {
    const user = userIn(await read(), ends);
    if (user !== undefined) return mayUse(ownUser, user);
  }
  return false;
}

/** Root gets in anyway. */
export function mayUse(ownUser: number, user: number): boolean {
  return user === ownUser || user === 0;
}

const tables = ["tcp", "tcp6"].map((name) =>
  sharedRead(() => readFile(`/proc/self/net/${name}`, "latin1").catch(() => "")),
);

/**
 * Reads once for all who ask while it reads. They are given the next reading: the one under way may have gone past what
 * they ask for. `read` must not fail.
 */
export function sharedRead(read: () => Promise<string>): () => Promise<string> {
  let current: Promise<unknown> = Promise.resolve();
  let next: Promise<string> | undefined;
  return () => {
    next ??= current.then(() => {
      next = undefined;
      const reading = read();
      current = reading;
      return reading;
    });
    return next;
  };
}

/**
 * Whose socket the client's end is, by a table of the kernel (proc_pid_net(5)): what listens has the other end. One that
 * no process has open any more is nobody's: it has no inode, and the kernel says root of it. One whose process has sent
 * all and waits for the answer is still that process's, in whatever state it is.
 */
export function userIn(
  table: string,
  { client, server }: { readonly client: string; readonly server: string },
): number | undefined {
  const [local, remote] = [getHex(client), getHex(server)];
  // A machine may have ten thousands of lines: only those that name the client are looked at.
  for (let at = table.indexOf(local); at >= 0; at = table.indexOf(local, at + 1)) {
    const end = table.indexOf("\n", at);
    const line = table.slice(table.lastIndexOf("\n", at) + 1, end < 0 ? undefined : end);
    const [, from = "", to = "", , , , , user, , inode] = line.trim().split(/\s+/);
    if (isEnd(from, local) && isEnd(to, remote)) return inode === "0" ? undefined : Number(user);
  }
  return undefined;
}

function isEnd(written: string, end: string): boolean {
  return written.endsWith(end) && isMapped(written.slice(0, -end.length));
}

/** An address of IPv4 as it is, or in one of IPv6 (RFC 4291, 2.5.5.2), as clients have it whose sockets speak both. */
function isMapped(before: string): boolean {
  return before === "" || before === "0000000000000000FFFF0000" || before === "00000000000000000000FFFF";
}

function getHex(end: string): string {
  const [address = "", port] = end.split(":");
  return `${hexOfAddress(address)}:${hexOfPort(Number(port))}`;
}

/** The kernel prints the four bytes as one number of this machine. */
function hexOfAddress(address: string): string {
  const bytes = Uint8Array.from(address.split(".").map(Number));
  const [number = 0] = new Uint32Array(bytes.length === 4 ? bytes.buffer : new ArrayBuffer(4));
  return number.toString(16).toUpperCase().padStart(8, "0");
}

function hexOfPort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}
