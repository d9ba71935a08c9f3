import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { LocalPort } from "../network/local-ports.ts";
import { isOwnPeer } from "../network/own-peer.ts";
import { http } from "./http.ts";
import { type PageProgram, passOn, passUpgrade } from "./page-proxy.ts";

export interface Placeholders {
  /** Throws if a port is taken, because its visitors would reach another program. */
  open(ports: readonly LocalPort[]): Promise<void>;
  /** Forwards all but chats at a port with `hasIde`. undefined: a page says that the program is starting. */
  lead(port: LocalPort, program: PageProgram | undefined): void;
  replace(port: LocalPort, why: string): Promise<void>;
  close(): void;
}

/** Most connections per port, so that one run's visitors leave descriptors for the others. */
const mostConnections = 256;

interface Shown {
  readonly status: number;
  readonly page: string;
  readonly program?: PageProgram | undefined;
}

/** Serves a run's ports to our own user only. Images are not pulled here, so nothing else would answer. */
export function createPlaceholders(image: string, advice = ""): Placeholders {
  const servers = new Set<Server>();
  const shownAt = new Map<number, Shown>();
  const serveAt = async ({ local, hasIde = false }: LocalPort, shown: Shown): Promise<void> => {
    if (shownAt.has(local)) return void shownAt.set(local, shown);
    const server = getServer(() => shownAt.get(local) ?? shown, hasIde);
    await once(server.listen(local, "127.0.0.1"), "listening");
    shownAt.set(local, shown);
    servers.add(server);
  };
  const plain = ({ port }: LocalPort, more: string) => ({ status: 200, page: getPage(image, String(port), more) });
  return {
    open: async (ports) => {
      for (const port of ports) {
        if (!port.hasPlaceholder) continue;
        await serveAt(port, port.hasIde ? starting : plain(port, port.kind === "http" ? advice : ""));
      }
    },
    lead: ({ local }, program) => shownAt.set(local, { ...starting, program }),
    replace: (port, why) => serveAt(port, plain(port, why)),
    close: () => {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
      servers.clear();
    },
  };
}

function getServer(shown: () => Shown, hasIde: boolean): Server {
  const peers = new WeakMap<Duplex, Promise<boolean>>();
  const server = http.createServer(async (request, reply) => {
    if (!(await peers.get(request.socket))) return void request.socket.destroy();
    serve(shown(), request, reply).catch(() => reply.destroy());
  });
  server.on("connection", (socket) => {
    const isOwn = isOwnPeer(socket);
    peers.set(socket, isOwn);
    void isOwn.then((isIn) => isIn || socket.destroy());
  });
  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    socket.on("error", () => socket.destroy());
    if (!(await peers.get(socket))) return void socket.destroy();
    const { program } = shown();
    if (program) passUpgrade(request, socket, head, program);
    else socket.end(noUpgrade);
  };
  // Node treats an upgrade without a listener like any other request.
  if (hasIde)
    server.on(
      "upgrade",
      (...upgradeArguments) => void upgrade(...upgradeArguments).catch(() => upgradeArguments[1].destroy()),
    );
  server.maxConnections = mostConnections;
  return server;
}

const mostBytes = 1024 * 1024;
const noUpgrade = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

async function serve(shown: Shown, request: IncomingMessage, reply: ServerResponse): Promise<void> {
  const path = request.url?.split("?")[0];
  if (path === "/chat") return chat(request, reply);
  if (shown.program) return passOn(request, reply, shown.program, () => show(starting, request, reply));
  show(shown, request, reply);
}

function show({ status, page }: Shown, { method = "" }: IncomingMessage, reply: ServerResponse): void {
  const isWrong = status === 200 && !["GET", "HEAD"].includes(method);
  if (isWrong) sayJson(reply, 405, { error: "Method not allowed" });
  else reply.writeHead(status, { "content-type": "text/html; charset=utf-8" }).end(method === "HEAD" ? "" : page);
}

async function chat(request: IncomingMessage, reply: ServerResponse): Promise<void> {
  if (request.method !== "POST") return sayJson(reply, 405, { error: "Method not allowed" });
  const text = await findText(request);
  if (text === undefined) return sayJson(reply, 413, { error: "A message has at most 1 MiB" });
  const message = messageIn(text);
  if (message === undefined) return sayJson(reply, 400, { error: "message must be a string" });
  sayJson(reply, 200, { reply: message });
}

/** Undefined above the limit. Reads to the end all the same, so that the client sees the answer. */
async function findText(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
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

const starting: Shown = {
  status: 503,
  page: `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>Starting</title>
<h1>VS Code is starting</h1>
<p>This page loads again by itself.</p>
</html>\n`,
};

function getPage(image: string, port: string, more: string): string {
  const subject = `port ${escaped(port)} of <code>${escaped(image)}</code>`;
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Placeholder</title>
<h1>A placeholder</h1>
<p>This page replaces ${subject}: the local stack records images but does not pull them, so the image does not run.</p>${more === "" ? "" : `\n<p>${escaped(more)}</p>`}
</html>\n`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
