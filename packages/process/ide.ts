import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Forwards } from "./forwards.ts";
import { commandInside, type Inside } from "./inside.ts";
import { answerOf, endGroup, exitOf } from "./jupyter.ts";
import { idePassword, type LocalPort, notePlaceholder } from "./local-ports.ts";
import type { Placeholders } from "./placeholder.ts";
import type { LaunchPlan } from "./plan.ts";

/** Returns what the page of a run without code-server advises. */
export function adviceOnIde(plan: Pick<LaunchPlan, "command" | "env">): string {
  if (idePassword(plan) === undefined) return "";
  return "For VS Code here, install code-server, put its directory on LOCAL_PATH, and start the stack and this workspace again.";
}

interface Serving {
  /** The directory of the run. */
  readonly directory: string;
  /** The machine that serves. undefined if the run has none. */
  readonly inside: Inside | undefined;
  readonly ports: readonly LocalPort[];
  readonly forwards: Pick<Forwards, "shut">;
  readonly placeholders: Pick<Placeholders, "replace">;
  readonly signal: AbortSignal;
}

/** Serves code-server at its port until `signal` is aborted. If it is given up, a page says why. */
export async function serveIde({ directory, inside, ports, forwards, placeholders, signal }: Serving): Promise<void> {
  const port = ports.find(({ hasLogin }) => hasLogin);
  if (!port || !inside) return;
  const why = await keepRunning(inside, port.local, signal);
  if (why === undefined || signal.aborted) return;
  forwards.shut(port.local);
  await placeholders.replace(port, why);
  notePlaceholder(directory, port);
}

const mostFailures = 3;
const longestPauseMs = 10_000;

/** Returns why code-server was given up, or undefined once `signal` is aborted. */
async function keepRunning(inside: Inside, port: number, signal: AbortSignal): Promise<string | undefined> {
  let hasAnswered = false;
  for (let failures = 1; !signal.aborted; failures += 1) {
    const child = start(inside, port);
    const exit = exitOf(child);
    const kill = () => void endGroup(child, exit);
    signal.addEventListener("abort", kill, { once: true });
    const answer = await answerOf(inside, { port, path: "/healthz" }, exit, signal);
    if (answer === "answers") {
      hasAnswered = true;
      failures = 0;
    }
    if (answer === "silent") kill();
    const code = await exit;
    signal.removeEventListener("abort", kill);
    if (!hasAnswered && answer === "silent") return "code-server did not answer within 60 s";
    if (!hasAnswered && failures >= mostFailures) return `code-server ended at once (exit code ${code})`;
    await sleep(Math.min(250 * 2 ** failures, longestPauseMs), undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}

/**
 * Passes the password in a variable, which only the run's user sees. Options win over a configuration file in the home,
 * so `--auth=password` makes the page ask for it (code-server's FAQ, "How does the config file work?").
 */
function start(inside: Inside, port: number) {
  const place = inside.env.WORKSPACE ?? inside.work;
  const words = ["code-server", `--bind-addr=127.0.0.1:${port}`, "--auth=password", "--disable-telemetry"];
  const named = { ...inside.env, PASSWORD: inside.env.CODE_SERVER_PASSWORD ?? "" };
  const home = inside.account?.home ?? inside.work;
  const asked = commandInside({ ...inside, work: home, env: named }, [...words, "--disable-update-check", place]);
  return spawn(asked.file, asked.args, { env: asked.env, cwd: asked.cwd, detached: true, stdio: "ignore" });
}
