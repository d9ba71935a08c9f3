import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { LocalPort } from "./local-ports.ts";
import { isOwnPeer } from "./own-peer.ts";

/** What is answered on the ports of one run that nothing of its own serves. */
export interface Placeholders {
  /** Throws where a port is taken: its visitors would be led to whoever has it. */
  open(ports: readonly LocalPort[]): Promise<void>;
  /** Serves a page at a port whose own program was given up, and says why. */
  replace(port: LocalPort, why: string): Promise<void>;
  close(): void;
}

/** Of one port: visitors of one run leave descriptors for the others. */
const mostConnections = 256;

/**
 * Serves what a run's image would, from this process and to our own user alone: images are recorded and not pulled here,
 * and without a command nothing else would ever answer.
 */
export function placeholdersOf(image: string, advice = ""): Placeholders {
  const servers = new Set<Server>();
  const serveAt = async ({ port, local }: LocalPort, more: string): Promise<void> => {
    const page = pageOf(image, String(port), more);
    const peers = new WeakMap<Socket, Promise<boolean>>();
    const server = createServer(async (asked, reply) => {
      if (!(await peers.get(asked.socket))) return void asked.socket.destroy();
      serve(page, asked, reply).catch(() => reply.destroy());
    });
    server.on("connection", (socket) => {
      const isOwn = isOwnPeer(socket);
      peers.set(socket, isOwn);
      void isOwn.then((isIn) => isIn || socket.destroy());
    });
    server.maxConnections = mostConnections;
    await once(server.listen(local, "127.0.0.1"), "listening");
    servers.add(server);
  };
  return {
    open: async (ports) => {
      for (const port of ports) if (port.hasPlaceholder) await serveAt(port, port.kind === "http" ? advice : "");
    },
    replace: serveAt,
    close: () => {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
      servers.clear();
    },
  };
}

const mostBytes = 1024 * 1024;

async function serve(page: string, asked: IncomingMessage, reply: ServerResponse): Promise<void> {
  const path = asked.url?.split("?")[0];
  if (path === "/chat") return chat(asked, reply);
  if (asked.method !== "GET" && asked.method !== "HEAD") return sayJson(reply, 405, { error: "Method not allowed" });
  reply.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(asked.method === "HEAD" ? "" : page);
}

/** Says back what it was told. */
async function chat(asked: IncomingMessage, reply: ServerResponse): Promise<void> {
  if (asked.method !== "POST") return sayJson(reply, 405, { error: "Method not allowed" });
  const text = await textOf(asked);
  if (text === undefined) return sayJson(reply, 413, { error: "A message has at most 1 MiB" });
  const message = messageIn(text);
  if (message === undefined) return sayJson(reply, 400, { error: "message must be a string" });
  sayJson(reply, 200, { reply: message });
}

/** undefined for more than is taken, which is read to its end all the same so that the answer is seen. */
async function textOf(asked: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of asked as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes <= mostBytes) parts.push(part);
  }
  return bytes > mostBytes ? undefined : Buffer.concat(parts).toString("utf8");
}

function messageIn(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown };
    return typeof message === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}

function sayJson(reply: ServerResponse, status: number, body: unknown): void {
  reply.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function pageOf(image: string, port: string, more: string): string {
  const what = `port ${escaped(port)} of <code>${escaped(image)}</code>`;
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Placeholder</title>
<h1>A placeholder</h1>
<p>This page stands for ${what}: images are recorded here and not pulled, so nothing of it runs.</p>${more === "" ? "" : `\n<p>${escaped(more)}</p>`}
</html>\n`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
