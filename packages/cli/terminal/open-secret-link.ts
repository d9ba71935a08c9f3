import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { openLink } from "./open-link.ts";

/** How long a browser may take to start. */
const askedWithinMs = 30_000;

/**
 * Opens an address that holds a secret. Any user of a machine can read the words that a program was started with, so
 * the desktop gets a loopback address that redirects once.
 */
export async function openSecretLink(link: string): Promise<"opened" | "no desktop" | "not asked"> {
  const path = `/${randomBytes(16).toString("hex")}`;
  const { promise: opened, resolve } = Promise.withResolvers<"opened">();
  let isUsed = false;
  const server = createServer(({ url, socket }, response) => {
    response.setHeader("Connection", "close").setHeader("Cache-Control", "no-store");
    if (isUsed || url !== path || !isOwn(socket)) return response.writeHead(404).end();
    isUsed = true;
    return response
      .once("close", () => resolve("opened"))
      .writeHead(302, { Location: link, "Referrer-Policy": "no-referrer" })
      .end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  try {
    const { port } = server.address() as AddressInfo;
    if (!(await openLink(`http://127.0.0.1:${port}${path}`))) return "no desktop";
    const waiting = new AbortController();
    const late = sleep(askedWithinMs, "not asked" as const, { signal: waiting.signal });
    return await Promise.race([opened, late]).finally(() => {
      late.catch(() => undefined);
      waiting.abort();
    });
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/**
 * Reports whether a process of this user made the connection, by the uid in /proc/net/tcp (proc_net_tcp(5)). On WSL a
 * relay of another user makes it for the browser of Windows, and elsewhere no file tells.
 */
function isOwn({ remotePort, localPort }: Socket): boolean {
  if (process.platform !== "linux" || process.env.WSL_DISTRO_NAME) return true;
  const [client, server] = [remotePort, localPort].map((port = 0) => {
    const hex = port.toString(16).toUpperCase().padStart(4, "0");
    return `0100007F:${hex}`;
  });
  const entries = readFileSync("/proc/net/tcp", "utf8").split("\n");
  const fields = entries.map((line) => line.trim().split(/\s+/));
  const entry = fields.find(([, local, remote]) => local === client && remote === server);
  return entry?.[7] === String(process.getuid?.());
}
