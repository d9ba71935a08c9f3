import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";

/** Reports whether the client is our own user or root. Only Linux tells; elsewhere all users may enter. */
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

/** Root can connect to private sockets anyway. */
export function mayUse(ownUser: number, user: number): boolean {
  return user === ownUser || user === 0;
}

const tables = ["tcp", "tcp6"].map((name) =>
  sharedRead(() => readFile(`/proc/self/net/${name}`, "latin1").catch(() => "")),
);

/** Shares reads among callers. A caller never gets an earlier read, which may lack its entry. */
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
 * Returns the owner of the client's socket (proc_pid_net(5)). A socket without a process has no inode and is listed as
 * root's, so it has no owner here. A half-closed one still belongs to its process.
 */
export function userIn(
  table: string,
  { client, server }: { readonly client: string; readonly server: string },
): number | undefined {
  const [local, remote] = [getHex(client), getHex(server)];
  // The table may have tens of thousands of lines: parse only those with the client's address.
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

/** Accepts plain IPv4, and IPv4-mapped IPv6 (RFC 4291, 2.5.5.2), which dual-stack clients use. */
function isMapped(before: string): boolean {
  return before === "" || before === "0000000000000000FFFF0000" || before === "00000000000000000000FFFF";
}

function getHex(end: string): string {
  const [address = "", port] = end.split(":");
  return `${hexOfAddress(address)}:${hexOfPort(Number(port))}`;
}

/** The kernel prints the four bytes as one integer in the machine's byte order. */
function hexOfAddress(address: string): string {
  const bytes = Uint8Array.from(address.split(".").map(Number));
  const [number = 0] = new Uint32Array(bytes.length === 4 ? bytes.buffer : new ArrayBuffer(4));
  return number.toString(16).toUpperCase().padStart(8, "0");
}

function hexOfPort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}
