import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";
import { eventually } from "./processes.ts";

const usualPaths = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Path of the Chromium that `CHROMIUM` names, or of this machine's. Undefined if there is none. */
export const chromium = [process.env.CHROMIUM || usualPaths].flat().find(existsSync);

/** Page in a headless browser. */
export interface BrowserPage {
  /** Evaluates an expression in the page. */
  evaluate(expression: string): Promise<unknown>;
  /** Waits until an expression holds in the page. */
  until(expression: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens an address in a new browser with a new profile. `hosts` maps further names: `MAP <pattern> <host>:<port>`. */
export async function openPage(url: string, hosts?: string): Promise<BrowserPage> {
  const profile = mkdtempSync(join(tmpdir(), "berth-browser-"));
  const child = spawn(chromium ?? "", [...quiet, formatRules(hosts), `--user-data-dir=${profile}`, url], {
    stdio: "ignore",
  });
  const endpoint = await getDevTools(profile);
  const evaluate = caller(endpoint);
  return {
    evaluate,
    until: async (expression) =>
      void (await eventually(
        () => evaluate(expression),
        (value) => value === true,
      )),
    close: async () => {
      endpoint.close();
      await end(child);
      rmSync(profile, { recursive: true, maxRetries: 10, retryDelay: 100 });
    },
  };
}

const quiet = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  "--remote-debugging-port=0",
];

/** The first rule that matches a name counts. */
function formatRules(hosts: string | undefined): string {
  const rules = ["MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1"];
  return `--host-resolver-rules=${(hosts === undefined ? rules : [hosts, ...rules]).join(", ")}`;
}

/** Connects to the port that Chromium writes to a file once it listens. */
async function getDevTools(profile: string): Promise<WebSocket> {
  const portFile = join(profile, "DevToolsActivePort");
  const port = () => (existsSync(portFile) ? Number(readFileSync(portFile, "utf8").split("\n")[0]) : 0);
  const listening = await eventually(port, (found) => found > 0);
  const pages = async () => (await (await fetch(`http://127.0.0.1:${listening}/json/list`)).json()) as Target[];
  const found = await eventually(pages, (all) => all.some(({ type }) => type === "page"));
  const socket = new WebSocket(found.find(({ type }) => type === "page")?.webSocketDebuggerUrl ?? "");
  await once(socket, "open");
  return socket;
}

interface Target {
  readonly type: string;
  readonly webSocketDebuggerUrl: string;
}

function caller(socket: WebSocket): BrowserPage["evaluate"] {
  const waiting = new Map<number, (value: unknown) => void>();
  let calls = 0;
  socket.on("message", (data) => {
    const { id, result } = JSON.parse(String(data)) as { id: number; result?: { result?: { value?: unknown } } };
    waiting.get(id)?.(result?.result?.value);
  });
  return (expression) => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const id = ++calls;
    waiting.set(id, resolve);
    const params = { expression, awaitPromise: true, returnByValue: true };
    socket.send(JSON.stringify({ id, method: "Runtime.evaluate", params }));
    return promise;
  };
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
}
