import { type FileHandle, open } from "node:fs/promises";

/** 127.0.0.1 and the wildcard address in /proc/net/tcp and tcp6 (proc(5)), in the processor's byte order. */
const addresses = {
  tcp: ["0100007F", "00000000"],
  tcp6: ["0000000000000000FFFF00000100007F", "00000000000000000000000000000000"],
} as const;
type Name = keyof typeof addresses;

/** Listening sockets come first and take 150 bytes per line. A command may have created millions of others. */
const readBytes = 1024 * 1024;

/** Reads at most `mostBytes` of each table. */
export async function listensInside(pid: number, port: number, mostBytes = readBytes): Promise<boolean> {
  const found = await Promise.all((["tcp", "tcp6"] as const).map((name) => isIn(pid, name, port, mostBytes)));
  return found.includes(true);
}

const partBytes = 64 * 1024;
/** State TCP_LISTEN (include/net/tcp_states.h of the kernel). */
const listening = / 0A /;

async function isIn(pid: number, name: Name, port: number, mostBytes: number): Promise<boolean> {
  const digits = port.toString(16).toUpperCase().padStart(4, "0");
  const nobody = "0".repeat(addresses[name][0].length);
  const lines = addresses[name].map((address) => `: ${address}:${digits} ${nobody}:0000 0A `);
  try {
    await using file = await open(`/proc/${pid}/net/${name}`, "r");
    for await (const text of listParts(file, mostBytes)) {
      if (lines.some((line) => text.includes(line))) return true;
      if (!listening.test(text)) return false;
    }
  } catch {
    return false;
  }
  return false;
}

/** Yields whole lines. The kernel may split its output anywhere. */
async function* listParts(file: FileHandle, mostBytes: number): AsyncGenerator<string> {
  const bytes = Buffer.alloc(Math.min(partBytes, mostBytes));
  let rest = "";
  for (let length = 0; length < mostBytes; ) {
    const { bytesRead } = await file.read(bytes, 0, Math.min(bytes.length, mostBytes - length), null);
    if (bytesRead === 0) return;
    length += bytesRead;
    const text = rest + bytes.toString("latin1", 0, bytesRead);
    const end = text.lastIndexOf("\n") + 1;
    rest = text.slice(end);
    if (end > 0) yield text.slice(0, end);
  }
}
