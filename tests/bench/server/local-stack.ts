import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { shellEnvironment } from "#local/shell-environment.ts";

export interface LogLine {
  readonly time: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface LocalStack {
  readonly home: string;
  /** Of the process that answers. */
  readonly pid: number;
  /** From its start, by npm unless said, until /health answered 200, in ms. */
  readonly healthyMs: number;
  /** What the stack has logged so far. */
  readonly lines: readonly LogLine[];
  call<Answer>(method: string, path: string, body?: object): Promise<Answer>;
}

const root = join(import.meta.dirname, "../../..");
const usualPatienceMs = 15_000;

export interface StackOptions {
  /** One that is kept; else the stack has an empty one of its own. */
  readonly home?: string;
  /** What npm would start, without npm. */
  readonly withoutNpm?: boolean;
}

/** Runs `npm start` (without npm's own lines) with these nodes, gives it to `use`, and ends it whatever happens. */
export async function withStack<Result>(
  nodes: string,
  use: (stack: LocalStack) => Promise<Result>,
  settings: Readonly<Record<string, string>> = {},
  { home: kept, withoutNpm = false }: StackOptions = {},
): Promise<Result> {
  const home = kept ?? mkdtempSync(join(tmpdir(), "berth-bench-"));
  const begun = performance.now();
  const env = { ...process.env, BERTH_HOME: home, PORT: "0", LOG_LEVEL: "debug", LOCAL_NODES: nodes, ...settings };
  const [program, words] = withoutNpm ? [process.execPath, startWords()] : ["npm", ["run", "--silent", "start"]];
  const child = spawn(program, words, { cwd: root, env, stdio: ["ignore", "pipe", "inherit"] });
  const agent = new Agent({ keepAlive: true });
  try {
    const lines: LogLine[] = [];
    const url = await readOutput(child, lines);
    await healthy(url);
    const healthyMs = performance.now() - begun;
    const [, key = ""] = /API_KEY='([^']+)'/.exec(await shellEnvironment({ home, fresh: false })) ?? [];
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const call = <Answer>(method: string, path: string, body?: object) =>
      callJson<Answer>(`${url}${path}`, { method, headers, agent }, body);
    const pid = Number(JSON.parse(readFileSync(join(home, "stack.json"), "utf8")).process.pid);
    return await use({ home, pid, healthyMs, lines, call });
  } finally {
    agent.destroy();
    await stop(child);
    // What ends hundreds of environments at once may write for a moment longer than the stack lives.
    if (kept === undefined) rmSync(home, { recursive: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** The options and the program of `npm start`. */
function startWords(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return String(scripts.start)
    .replace(/^.* exec node /, "")
    .split(" ");
}

/** Waits until something is there, looking every few ms. Throws when it does not come. */
export async function until<Found>(
  find: () => Found | undefined | Promise<Found | undefined>,
  patienceMs = usualPatienceMs,
): Promise<Found> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`Nothing came in ${patienceMs / 1000} s: ${find}`);
    await sleep(5);
  }
}

/** Collects the log for as long as it runs, and answers the address once it is told. */
async function readOutput(child: ChildProcess, lines: LogLine[]): Promise<string> {
  if (!child.stdout) throw new Error("npm start has no output");
  let url: string | undefined;
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (!line.startsWith("{")) return;
    const parsed = JSON.parse(line) as LogLine & { readonly url?: string };
    lines.push(parsed);
    if (parsed.event === "started") url ??= parsed.url;
  });
  return until(() => url);
}

/** In ms, of all threads (proc(5), stat: utime and stime in ticks of 10 ms). */
export function readCpu(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function healthy(url: string): Promise<void> {
  await until(async () => ((await fetch(`${url}/health`)).ok ? true : undefined));
}

/** By node:http, which takes a third of the time of fetch on this side: the machine is shared with what is measured. */
export async function callJson<Answer>(
  url: string,
  options: { readonly method: string; readonly headers: Record<string, string>; readonly agent: Agent },
  body: object | undefined,
): Promise<Answer> {
  const bytes = Buffer.from(body ? JSON.stringify(body) : "");
  // Node does not say by itself how long the body of a DELETE is.
  const headers = { ...options.headers, ...(body && { "content-length": String(bytes.length) }) };
  const response = await responseTo(() => request(url, { ...options, headers }).end(bytes));
  const text = (await response.toArray()).join("");
  const { statusCode = 0 } = response;
  if (statusCode < 200 || statusCode > 299) throw new Error(`${options.method} ${url} answered ${statusCode}: ${text}`);
  return JSON.parse(text) as Answer;
}

/** Sent once more where the server was just closing the kept connection, as it does with one that is idle for 5 s. */
async function responseTo(send: () => ClientRequest): Promise<IncomingMessage> {
  const outgoing = send();
  try {
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    return response;
  } catch (error) {
    if (outgoing.reusedSocket && (error as NodeJS.ErrnoException).code === "ECONNRESET") return responseTo(send);
    throw error;
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
}
