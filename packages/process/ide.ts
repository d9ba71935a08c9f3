import { spawn } from "node:child_process";
import type { Forwards } from "./forwards.ts";
import { commandInside, type Inside } from "./inside.ts";
import { idePassword, type LocalPort, notePlaceholder } from "./local-ports.ts";
import type { Placeholders } from "./placeholder.ts";
import type { LaunchPlan } from "./plan.ts";
import { keepRunning, wordsFor } from "./web-program.ts";

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
  const begin = async () => ({ child: start(inside, port.local), port: port.local });
  const onAnswer = () => undefined;
  const givenUp = await keepRunning({ place: inside, path: "/healthz", start: begin, onAnswer, signal });
  if (!givenUp || signal.aborted) return;
  forwards.shut(port.local);
  await placeholders.replace(port, wordsFor("code-server", givenUp));
  notePlaceholder(directory, port);
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
