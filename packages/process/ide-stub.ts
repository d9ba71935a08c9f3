import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes a fake code-server into a directory of programs, for tests: it takes the options that the real one is given. */
export function writeIdeStub(bin: string, node: string, source = serving): void {
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "code-server.cjs"), source, { mode: 0o644 });
  const script = `#!/bin/sh\nexec ${node} ${join(bin, "code-server.cjs")} "$@"\n`;
  writeFileSync(join(bin, "code-server"), script, { mode: 0o755 });
}

/** Answers `/healthz` to everybody, a login page to strangers, and its words and place to who has the password. */
const serving = `
const words = process.argv.slice(2);
const [host, port] = words.find((word) => word.startsWith("--bind-addr=")).slice(12).split(":");
require("node:http").createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  if (pathname === "/healthz") return response.end("alive");
  const isIn = words.includes("--auth=password") && searchParams.get("password") === process.env.PASSWORD;
  response.end(isIn ? words.at(-1) + " from " + process.cwd() : "Enter the password");
}).listen(Number(port), host);
`;
