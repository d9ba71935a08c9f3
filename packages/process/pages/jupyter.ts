import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { JupyterStatus } from "#core/ports/compute.ts";
import type { Forwards } from "../network/forwards.ts";
import { findFreePort } from "../network/local-ports.ts";
import { forgetJupyter, readAccess, writeJupyter } from "../runs/access-record.ts";
import { commandInside, type Inside } from "../runs/inside.ts";
import type { LaunchPlan } from "../runs/plan.ts";
import { workDirectory } from "../runs/run-directory.ts";
import { describeFailure, keepRunning, notFound } from "./web-program.ts";

export interface JupyterSupervisor {
  check(): void;
  close(): void;
}

/** Keeps Jupyter running, from the supervisor, while `access.json` wants it. */
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

  const check = (): void => {
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
    check,
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
  readonly runtime: string;
  readonly tell: (status: JupyterStatus) => void;
  readonly signal: AbortSignal;
}

/** Restarts Jupyter on the same port. Takes another port after a start that did not answer. */
async function serve({ place, forwards, plan, token, runtime, tell, signal }: Serving): Promise<void> {
  let port = await findFreePort();
  const begin = async (failures: number) => {
    if (failures > 1) {
      forwards.shut(port);
      port = await findFreePort();
    }
    tell({ state: "starting", origin: null, reason: null });
    // Open to all users, because Jupyter asks for its token. Shut the port afterwards: a later program there may not.
    await forwards.open(port, true);
    return { child: start(place, token, port, runtime), port };
  };
  const onAnswer = () => tell({ state: "on", origin: `http://127.0.0.1:${port}`, reason: null });
  try {
    const givenUp = await keepRunning({ place, path: "/api", start: begin, onAnswer, signal });
    if (!givenUp) return;
    const isMissing = givenUp.why === "ended" && givenUp.exitCode === notFound;
    tell(failed(isMissing ? missing(plan) : describeFailure("Jupyter", givenUp)));
  } finally {
    forwards.shut(port);
  }
}

const longestPath = 500;

/** Shows the searched PATH, unless the environment sets its own: values of its variables are never shown. */
function missing({ env, programs: { path } }: Pick<LaunchPlan, "env" | "programs">): string {
  const words = "Jupyter is not on the PATH of this environment";
  if (env.PATH !== undefined) return words;
  return `${words}: ${path.length > longestPath ? `${path.slice(0, longestPath)}…` : path}`;
}

/** The token is in a variable, which other users cannot read, and not on the disk, where it would outlive the run. */
function start(place: Inside, token: string, port: number, runtime: string): ChildProcess {
  const words = ["jupyter", "lab", "--no-browser", "--ip=127.0.0.1", `--port=${port}`, "--ServerApp.port_retries=0"];
  const root = process.getuid?.() === 0 ? ["--allow-root"] : [];
  const variables = { JUPYTER_RUNTIME_DIR: runtime, ...place.env, JUPYTER_TOKEN: token };
  const named = { ...place, work: place.account?.home ?? place.work, env: variables };
  const { file, args, env, cwd } = commandInside(named, [...words, ...root]);
  return spawn(file, args, { env, cwd, detached: true, stdio: "ignore" });
}

function failed(reason: string): JupyterStatus {
  return { state: "failed", origin: null, reason };
}
