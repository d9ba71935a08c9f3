import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Isolation } from "../runs/records.ts";
import { systemPath } from "../sandbox/local-path.ts";

interface StubServer {
  readonly shown: string;
  readonly home: string;
  readonly compute: { readonly isolation: Isolation };
}

/** Puts a fake Jupyter on the PATH of a run. It accepts the options of the real one. */
export function jupyterStub({ shown, home, compute }: StubServer, source = serving): Readonly<Record<string, string>> {
  const bin = join(shown, "bin");
  mkdirSync(bin, { recursive: true });
  writeJupyterStub(bin, '"$STUB_NODE"', source);
  const node = compute.isolation === "none" ? process.execPath : join(home, "tools/node");
  return { STUB_NODE: node, PATH: [bin, systemPath].join(delimiter) };
}

/** Writes a fake Jupyter into a directory. `node` is a word of the shell that names its Node. */
export function writeJupyterStub(bin: string, node: string, source = serving): void {
  writeFileSync(join(bin, "jupyter.cjs"), source);
  writeFileSync(join(bin, "jupyter"), `#!/bin/sh\nexec ${node} ${join(bin, "jupyter.cjs")} "$@"\n`);
  chmodSync(join(bin, "jupyter"), 0o755);
}

/** Answers `/api` to all, and other paths to clients with the token, like Jupyter Server. */
export const serving = `
const option = (name) => process.argv.find((word) => word.startsWith(name + "="))?.slice(name.length + 1);
require("node:http").createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  const isOpen = pathname === "/api" || searchParams.get("token") === process.env.JUPYTER_TOKEN;
  response.writeHead(isOpen ? 200 : 403).end(process.cwd());
}).listen(Number(option("--port")), option("--ip"));
`;
