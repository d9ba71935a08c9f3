import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { JupyterStatus } from "#core/ports/compute.ts";
import { forgetJupyter, readAccess, writeJupyter } from "./access-record.ts";
import type { Forwards } from "./forwards.ts";
import { findFreePort } from "./free-port.ts";
import { commandInside, type Inside } from "./inside.ts";
import { listensInside } from "./listening.ts";
import type { LaunchPlan } from "./plan.ts";
import { workDirectory } from "./run-directory.ts";

export interface JupyterSupervisor {
  /** Reads what is wanted, and starts or ends Jupyter if that is something else. */
  look(): void;
  /** Ends it, and starts it no more. */
  close(): void;
}

/** Keeps Jupyter running inside a run, by its supervisor, for as long as `access.json` wants it. */
export function superviseJupyter(
  directory: string,
  inside: () => Inside | undefined,
  forwards: Pick<Forwards, "open" | "shut">,
  plan: Pick<LaunchPlan, "env" | "programs">,
): JupyterSupervisor {
  let token: string | undefined;
  let stop = new AbortController();
  let serving: Promise<void> = Promise.resolve();
  let isClosed = false;
  const runtime = join(workDirectory(directory, 0), ".jupyter-runtime");

  const look = (): void => {
    const wanted = readAccess(directory)?.jupyter?.token;
    const place = inside();
    if (isClosed || wanted === token || !place) return;
    token = wanted;
    stop.abort();
    stop = new AbortController();
    const { signal } = stop;
    serving = serving.then(async () => {
      if (wanted === undefined || signal.aborted) return forgetJupyter(directory);
      const tell = (status: JupyterStatus) => signal.aborted || writeJupyter(directory, wanted, status);
      await serve({ place, forwards, plan, token: wanted, runtime, tell, signal }).catch(() =>
        tell(failed("Jupyter could not be started")),
      );
    });
  };
  return {
    look,
    close: () => {
      isClosed = true;
      stop.abort();
    },
  };
}

interface Serving {
  readonly place: Inside;
  readonly forwards: Pick<Forwards, "open" | "shut">;
  readonly plan: Pick<LaunchPlan, "env" | "programs">;
  readonly token: string;
  /** Where it keeps what it knows of its processes. */
  readonly runtime: string;
  readonly tell: (status: JupyterStatus) => void;
  readonly signal: AbortSignal;
}

const startedWithinMs = 60_000;
const mostFailures = 3;

/** Starts it again whenever it ends, on its port as long as that can be had; gives up what has never answered. */
async function serve({ place, forwards, plan, token, runtime, tell, signal }: Serving): Promise<void> {
  let port = await findFreePort();
  let hasAnswered = false;
  try {
    for (let failures = 0; !signal.aborted; failures += 1) {
      tell({ state: "starting", origin: null, reason: null });
      // Open to all: Jupyter asks for its token. What else might listen there later need not.
      await forwards.open(port, true);
      const child = start(place, token, port, runtime);
      const exit = exitOf(child);
      const kill = () => void endGroup(child, exit);
      signal.addEventListener("abort", kill, { once: true });
      const answer = await answerOf(place, { port, path: "/api" }, exit, signal);
      if (answer === "answers") {
        hasAnswered = true;
        failures = 0;
        tell({ state: "on", origin: `http://127.0.0.1:${port}`, reason: null });
      }
      if (answer === "silent") kill();
      const code = await exit;
      signal.removeEventListener("abort", kill);
      if (!hasAnswered && answer === "silent") return tell(failed("Jupyter did not answer within 60 s"));
      if (!hasAnswered && code === notFound) return tell(failed(missing(plan)));
      if (!hasAnswered && failures + 1 >= mostFailures)
        return tell(failed(`Jupyter ended at once (exit code ${code})`));
      if (failures > 0) {
        forwards.shut(port);
        port = await findFreePort();
      }
      await sleep(Math.min(250 * 2 ** failures, 10_000), undefined, { signal }).catch(() => undefined);
    }
  } finally {
    forwards.shut(port);
  }
}

/** What a shell answers for a command that it cannot find (POSIX, Shell Command Language, 2.8.2). */
const notFound = 127;

const longestPath = 500;

/** With the PATH that was looked in, unless the environment has one of its own: no value of its variables is shown. */
function missing({ env, programs: { path } }: Pick<LaunchPlan, "env" | "programs">): string {
  const words = "Jupyter is not on the PATH of this environment";
  if (env.PATH !== undefined) return words;
  return `${words}: ${path.length > longestPath ? `${path.slice(0, longestPath)}…` : path}`;
}

/**
 * The token goes in by the environment, where only this user sees it, and not as an argument, which everybody does.
 * Jupyter writes it into its runtime directory, which is not on the disk: there it would outlive the run.
 */
function start(place: Inside, token: string, port: number, runtime: string): ChildProcess {
  const words = ["jupyter", "lab", "--no-browser", "--ip=127.0.0.1", `--port=${port}`, "--ServerApp.port_retries=0"];
  const root = process.getuid?.() === 0 ? ["--allow-root"] : [];
  const variables = { JUPYTER_RUNTIME_DIR: runtime, ...place.env, JUPYTER_TOKEN: token };
  const named = { ...place, work: place.account?.home ?? place.work, env: variables };
  const { file, args, env, cwd } = commandInside(named, [...words, ...root]);
  return spawn(file, args, { env, cwd, detached: true, stdio: "ignore" });
}

/** Resolves with the exit code of a child; null where it has none. */
export function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once("exit", (code) => resolve(code)).once("error", () => resolve(null));
  });
}

/** Waits until a program that was started inside a run answers at its port, or has ended. */
export async function answerOf(
  place: Inside,
  at: WebPlace,
  exit: Promise<unknown>,
  signal: AbortSignal,
): Promise<"answers" | "silent" | "ended"> {
  const ended = exit.then(() => "ended" as const);
  const end = performance.now() + startedWithinMs;
  while (!signal.aborted && performance.now() < end) {
    const answer = await Promise.race([ended, isAnswering(place, at)]);
    if (answer === "ended") return answer;
    if (answer) return "answers";
    await Promise.race([ended, sleep(100)]);
  }
  return "silent";
}

/** Where a program says that it is up, to everybody. */
interface WebPlace {
  readonly port: number;
  readonly path: string;
}

async function isAnswering({ network, sandbox }: Inside, { port, path }: WebPlace): Promise<boolean> {
  if (network === "own" && !(sandbox && (await listensInside(sandbox.pid, port)))) return false;
  const signal = AbortSignal.timeout(2_000);
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal, redirect: "manual" }).catch(
    () => undefined,
  );
  await response?.body?.cancel();
  return response !== undefined && response.status < 500;
}

const graceMs = 2_000;

/** Its kernels are in groups of their own: Jupyter ends them itself when it is asked to end. */
export async function endGroup(child: ChildProcess, exit: Promise<unknown>): Promise<void> {
  signalGroup(child, "SIGTERM");
  await Promise.race([exit, sleep(graceMs)]);
  signalGroup(child, "SIGKILL");
}

function signalGroup({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, signal);
  } catch {
    return;
  }
}

function failed(reason: string): JupyterStatus {
  return { state: "failed", origin: null, reason };
}
