import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

/**
 * The program that serves what a run's image would: `stand-in.ts <image> <port>=<local port>…`. Images are recorded and
 * not pulled here, and without a command nothing else would ever answer.
 */
function main(): void {
  const [image = "", ...pairs] = process.argv.slice(2);
  for (const pair of pairs) {
    const [port = "", local] = pair.split("=");
    const page = pageOf(image, port);
    createServer((asked, reply) => {
      serve(page, asked, reply).catch(() => reply.destroy());
    }).listen(Number(local), "127.0.0.1");
  }
  process.once("SIGTERM", () => process.exit(0));
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

function pageOf(image: string, port: string): string {
  const what = `port ${escaped(port)} of <code>${escaped(image)}</code>`;
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Stand-in</title>
<h1>A stand-in</h1>
<p>This page stands for ${what}: images are recorded here and not pulled, so nothing of it runs.</p>
</html>\n`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

main();
