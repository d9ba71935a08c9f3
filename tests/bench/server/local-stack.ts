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
  readonly pid: number;
  /** Time from the start (by default with npm) until /health answers 200, in ms. */
  readonly healthyMs: number;
  readonly lines: readonly LogLine[];
  call<Answer>(method: string, path: string, body?: object): Promise<Answer>;
}

const root = join(import.meta.dirname, "../../..");
const usualPatienceMs = 15_000;

export interface StackOptions {
  /** Directory to keep. By default the stack gets a new one. */
  readonly home?: string;
  readonly withoutNpm?: boolean;
}

/** Runs `npm start` with these nodes, calls `use`, and always stops the stack. */
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
    // Supervisors of hundreds of environments may write briefly after the stack ends.
    if (kept === undefined) rmSync(home, { recursive: true, maxRetries: 20, retryDelay: 100 });
  }
}

function startWords(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return String(scripts.start)
    .replace(/^.* exec node /, "")
    .split(" ");
}

/** Polls every 5 ms until `find` returns a value. Throws after the deadline. */
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

/** Collects the log, and returns the address that it reports. */
async function readOutput(child: ChildProcess, lines: LogLine[]): Promise<string> {
  if (!child.stdout) throw new Error("npm start has no output");
  let url: string | undefined;
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (!line.startsWith("{")) return;
    const parsed = JSON.parse(line) as LogLine & { readonly url?: string };
    lines.push(parsed);
    if (parsed.event === "started") url ??= parsed.url;
  });
  // On a busy machine the first start bundles for half a minute.
  return until(() => url, 60_000);
}

/** Returns the CPU time of all threads in ms (proc(5), stat: utime and stime in ticks of 10 ms). */
export function readCpu(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function healthy(url: string): Promise<void> {
  await until(async () => ((await fetch(`${url}/health`)).ok ? true : undefined));
}

/** Uses node:http, which needs a third of the CPU of fetch. The client shares the machine with the stack. */
export async function callJson<Answer>(
  url: string,
  options: { readonly method: string; readonly headers: Record<string, string>; readonly agent: Agent },
  body: object | undefined,
): Promise<Answer> {
  const bytes = Buffer.from(body ? JSON.stringify(body) : "");
  // Node does not set the content length of a DELETE.
  const headers = { ...options.headers, ...(body && { "content-length": String(bytes.length) }) };
  const response = await responseTo(() => request(url, { ...options, headers }).end(bytes));
  const text = (await response.toArray()).join("");
  const { statusCode = 0 } = response;
  if (statusCode < 200 || statusCode > 299) throw new Error(`${options.method} ${url} answered ${statusCode}: ${text}`);
  return JSON.parse(text) as Answer;
}

/** Retries once if the server closed an idle kept connection (after 5 s). */
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
