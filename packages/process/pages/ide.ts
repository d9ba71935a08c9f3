import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import type { Forwards } from "../network/forwards.ts";
import { findFreePort, type LocalPort, notePlaceholder, servesIde } from "../network/local-ports.ts";
import { commandInside, type Inside } from "../runs/inside.ts";
import type { LaunchPlan } from "../runs/plan.ts";
import type { PageProgram } from "./page-proxy.ts";
import type { Placeholders } from "./placeholder.ts";
import { describeFailure, type GivenUp, keepRunning } from "./web-program.ts";

export function adviceOnIde(plan: Pick<LaunchPlan, "command" | "env" | "image">): string {
  if (!servesIde(plan)) return "";
  return "For VS Code here, install code-server, put its directory on LOCAL_PATH, and start the stack and this workspace again.";
}

interface Serving {
  readonly directory: string;
  readonly inside: Inside | undefined;
  readonly ports: readonly LocalPort[];
  readonly forwards: Pick<Forwards, "open" | "shut">;
  readonly placeholders: Pick<Placeholders, "lead" | "replace">;
  readonly signal: AbortSignal;
}

/** Serves code-server at its port until `signal` aborts. If code-server is given up, a page says why. */
export async function serveIde({ inside, ...serving }: Serving): Promise<void> {
  const { directory, ports, placeholders, signal } = serving;
  const port = ports.find(({ hasLogin, hasIde }) => hasLogin || hasIde);
  if (!port || !inside) return;
  const givenUp = await (port.hasIde ? serveBehind : serveAt)({ ...serving, inside }, port);
  if (!givenUp || signal.aborted) return;
  await placeholders.replace(port, describeFailure("code-server", givenUp));
  notePlaceholder(directory, port);
}

type Placed = Serving & { readonly inside: Inside };

/** The page asks for the password that the run was given. */
async function serveAt({ inside, forwards, signal }: Placed, { local: port }: LocalPort): Promise<GivenUp | undefined> {
  const password = inside.env.CODE_SERVER_PASSWORD ?? "";
  const begin = async () => ({ child: start(inside, port, password), port });
  const givenUp = await keepRunning({ ...health, place: inside, start: begin, onAnswer: () => undefined, signal });
  forwards.shut(port);
  return givenUp;
}

/** Serves behind the placeholder, which logs in. Other runs may reach the login page, so the password is secret. */
async function serveBehind({ inside, forwards, placeholders, signal }: Placed, front: LocalPort) {
  let [port, password] = [0, ""];
  const begin = async () => {
    forwards.shut(port);
    port = await findFreePort();
    password = randomBytes(24).toString("base64url");
    await forwards.open(port);
    return { child: start(inside, port, password), port };
  };
  const onAnswer = async () => placeholders.lead(front, await logIn(port, password));
  const onEnd = () => placeholders.lead(front, undefined);
  const givenUp = await keepRunning({ ...health, place: inside, start: begin, onAnswer, onEnd, signal });
  forwards.shut(port);
  return givenUp;
}

const health = { path: "/healthz" };

/** Throws if the login fails. */
async function logIn(port: number, password: string): Promise<PageProgram> {
  const url = `http://127.0.0.1:${port}/login`;
  const body = new URLSearchParams({ password, base: "/", href: url });
  const signal = AbortSignal.timeout(loginMs);
  const response = await fetch(url, { method: "POST", body, redirect: "manual", signal });
  await response.body?.cancel();
  const cookie = response.headers
    .getSetCookie()
    .map((text) => text.split(";")[0])
    .join("; ");
  if (cookie === "") throw new Error("code-server refused its password");
  return { port, cookie };
}

const loginMs = 10_000;

/**
 * Passes the password in a variable, which only the run's user can read. Options win over a configuration file in the
 * home, so `--auth=password` makes the page ask for it (code-server's FAQ, "How does the config file work?").
 */
function start(inside: Inside, port: number, password: string): ChildProcess {
  const place = inside.env.WORKSPACE ?? inside.work;
  const words = ["code-server", `--bind-addr=127.0.0.1:${port}`, "--auth=password", "--disable-telemetry"];
  const named = { ...inside.env, PASSWORD: password };
  const home = inside.account?.home ?? inside.work;
  const command = commandInside({ ...inside, work: home, env: named }, [...words, "--disable-update-check", place]);
  return spawn(command.file, command.args, { env: command.env, cwd: command.cwd, detached: true, stdio: "ignore" });
}
