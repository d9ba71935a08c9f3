import { AsyncLocalStorage } from "node:async_hooks";
import { appendFileSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { reapLeftovers } from "../exec/exec-session.ts";
import { fifosIn } from "../logs/pipes.ts";
import type { LaunchPlan, LaunchReply } from "../runs/plan.ts";
import { runOfName } from "../runs/run-directory.ts";
import { controlSocketFile, openControlSocket } from "./control-socket.ts";
import { type Locking, takeLock } from "./lock.ts";
import { findProcess } from "./process-identity.ts";
import { type SupervisedRun, type SupervisorTools, superviseRun } from "./supervised-run.ts";
import { checkEveryMs } from "./supervision.ts";
import { type ping, writeSupervisor } from "./supervisor-place.ts";

/**
 * Program that starts and supervises the runs of a home: `supervisor.ts <place> <locking>`. Plans arrive through its
 * control socket. It outlives its parent, and ends after a while without runs. Descriptor 3 reports `ready` or `busy`.
 */
async function main(): Promise<void> {
  const [, , place = "", locking = "flock"] = process.argv;
  const home = dirname(dirname(place));
  const runs = new Set<SupervisedRun>();
  const current = new AsyncLocalStorage<{ run?: SupervisedRun }>();
  const failed = (error: unknown): void => {
    noteError(place, error);
    current.getStore()?.run?.fail(error);
  };
  process.on("uncaughtException", failed).on("unhandledRejection", failed);
  checkOnSignal(runs);
  const lock = takeLock(place, locking as Locking);
  const self = findProcess(process.pid);
  if (typeof lock === "string" || !self) return say("busy");

  const takeFifo = fifosIn(join(place, "fifos"));
  const report = (error: unknown) => noteError(place, error);
  const tools: SupervisorTools = { self, takeFifo, reaper: reapLeftovers(), report };
  let leaving = setTimeout(() => leave(), idleMs);
  let isLeaving = false;
  const start = (plan: LaunchPlan): Promise<LaunchReply> => {
    if (isLeaving) throw new Error("The supervisor is ending");
    if (plan.home !== home || !runOfName(plan.name)) throw new Error("This home has no such run");
    clearTimeout(leaving);
    const context: { run?: SupervisedRun } = {};
    const run = current.run(context, () => superviseRun(plan, tools));
    context.run = run;
    runs.add(run);
    void run.over.then(() => {
      runs.delete(run);
      clearTimeout(leaving);
      if (runs.size === 0) leaving = setTimeout(leave, idleMs);
    });
    return run.reply;
  };
  // Left by a killed supervisor.
  rmSync(join(place, controlSocketFile), { force: true });
  const socket = openControlSocket(place, (message: LaunchPlan | typeof ping) =>
    "ask" in message ? true : start(message),
  );
  const leave = (): void => {
    socket.close();
    lock.release();
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(signal, () => {
      isLeaving = true;
      socket.close();
      checkRuns(runs);
      for (const run of runs) run.kill();
      void Promise.all([...runs].map(({ over }) => over)).then(leave);
    });
  }
  writeSupervisor(place, self);
  setInterval(() => checkRuns(runs), checkEveryMs);
  say("ready");
}

/** Longer than it takes to end one environment and start the next. */
const idleMs = 2_000;
const mostNotedBytes = 1024 * 1024;

/** Lets SIGUSR2 check the runs at once. */
function checkOnSignal(runs: ReadonlySet<SupervisedRun>): void {
  let isDue = false;
  process.on("SIGUSR2", () => {
    if (isDue) return;
    // One pass serves all signals before it: stopping hundreds of runs sends hundreds.
    isDue = true;
    setImmediate(() => {
      isDue = false;
      checkRuns(runs);
    });
  });
}

function checkRuns(runs: ReadonlySet<SupervisedRun>): void {
  for (const run of runs) {
    try {
      run.check();
    } catch (error) {
      run.fail(error);
    }
  }
}

/** Records where an error happened, without its message, which may quote secrets. */
function noteError(place: string, error: unknown): void {
  const file = join(place, "errors");
  const { name, stack = "" } = error instanceof Error ? error : new Error("Not an error");
  const lines = stack.split("\n").filter((line) => line.startsWith("    at "));
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  try {
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > mostNotedBytes) return;
    appendFileSync(file, [`${new Date().toISOString()} ${name} ${code}`, ...lines, ""].join("\n"), { mode: 0o600 });
  } catch {
    return;
  }
}

/** The parent may be gone. */
function say(word: "ready" | "busy"): void {
  try {
    writeSync(3, word);
  } catch {
    return;
  }
}

await main();
