import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes a fake code-server into a program directory. It accepts the options of the real one. */
export function writeIdeStub(bin: string, node: string, source = serving): void {
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "code-server.cjs"), source, { mode: 0o644 });
  const script = `#!/bin/sh\nexec ${node} ${join(bin, "code-server.cjs")} "$@"\n`;
  writeFileSync(join(bin, "code-server"), script, { mode: 0o755 });
}

/**
 * Answers `/healthz` to all, a login page to strangers, and its last argument and directory to clients with the
 * password or a login's cookie. `/echo` shows a request, and a WebSocket returns what it receives.
 */
const serving = `
const { text } = require("node:stream/consumers");
const words = process.argv.slice(2);
const [host, port] = words.find((word) => word.startsWith("--bind-addr=")).slice(12).split(":");
const session = "code-server-session=" + require("node:crypto").randomBytes(8).toString("hex");
const isRight = (password) => words.includes("--auth=password") && password === process.env.PASSWORD;
const hasSession = ({ headers }) => headers.cookie?.split("; ")[0] === session;
const server = require("node:http").createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  if (pathname === "/healthz") return response.end("alive");
  if (pathname === "/login" && request.method === "POST") {
    const isIn = isRight(new URLSearchParams(await text(request)).get("password"));
    return response.writeHead(302, { location: "./", ...(isIn && { "set-cookie": session + "; Path=/" }) }).end();
  }
  if (!isRight(searchParams.get("password")) && !hasSession(request)) return response.end("Enter the password");
  if (pathname !== "/echo") return response.end(words.at(-1) + " from " + process.cwd());
  const seen = { method: request.method, url: request.url, host: request.headers.host, body: await text(request) };
  const cookies = request.headers.cookie.split("; ").slice(1);
  response.writeHead(201, { "set-cookie": ["a=1", "b=2"] }).end(JSON.stringify({ ...seen, cookies }));
});
server.on("upgrade", (request, socket) => {
  if (!hasSession(request)) return socket.end("HTTP/1.1 403 Forbidden\\r\\nContent-Length: 0\\r\\n\\r\\n");
  const words = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const accept = require("node:crypto").createHash("sha1").update(words).digest("base64");
  const lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"];
  socket.write([...lines, "Sec-WebSocket-Accept: " + accept, "", ""].join("\\r\\n"));
  socket.on("error", () => undefined).pipe(socket);
});
server.listen(Number(port), host);
`;
