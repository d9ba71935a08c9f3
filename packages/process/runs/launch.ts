import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { compileCache, systemPath } from "../sandbox/environment.ts";
import { askControlSocket, isSilent } from "../supervisor/control-socket.ts";
import { killSupervisor, openSupervisorPlace, ping } from "../supervisor/supervisor-place.ts";
import type { LaunchPlan, LaunchReply } from "./plan.ts";

const supervisor = fileURLToPath(new URL("../supervisor/supervisor.ts", import.meta.url));

/**
 * Gives the plan of a run to the supervisor of its home, which outlives this process and is started if there is none.
 * Resolves with its reply, or with undefined when none came within `withinMs` of its having the plan: what was asked
 * goes on. Throws when it could not be asked, or ended without a reply.
 */
export async function launch(plan: LaunchPlan, withinMs: number): Promise<LaunchReply | undefined> {
  const late = new AbortController();
  const accepted = Promise.withResolvers<void>();
  const launchRequest = askSupervisor(plan, accepted.resolve).finally(() => late.abort());
  // Nobody hears of what fails later; the run is then one that was never begun.
  launchRequest.catch(() => undefined);
  // Until then it would end with this process.
  await Promise.race([accepted.promise, launchRequest]);
  return Promise.race([launchRequest, sleep(withinMs, undefined, { signal: late.signal }).catch(() => launchRequest)]);
}

/** On a machine with far too much to do, and for a volume that takes its time. */
const patienceMs = 60_000;
const pingAfterMs = 4_000;
const mostSilences = 3;
const mostStarts = 50;
const mostLosses = 3;
const againAfterMs = 20;

/**
 * One that ends just now is asked in vain, and so is one that has only just begun. A plan may be given twice: the lock
 * of the run's directory, and what is written in it, let it be started once.
 */
async function askSupervisor(plan: LaunchPlan, onGiven: () => void): Promise<LaunchReply> {
  const place = openSupervisorPlace(plan.home);
  for (let starts = 0, losses = 0; ; ) {
    try {
      return await askWatched(place, plan, onGiven);
    } catch (error) {
      const isAbsent = isRefusal(error);
      if (isAbsent) starts += 1;
      else losses += 1;
      if (starts > mostStarts || losses >= mostLosses) throw new Error("The run has no supervisor", { cause: error });
      if (isAbsent && (await startOnce(place, plan)) === "ready") continue;
      await sleep(againAfterMs * Math.max(starts, losses));
    }
  }
}

/** A supervisor that says nothing for too long is ended, with its runs: it can neither start one nor end one. */
async function askWatched(place: string, plan: LaunchPlan, onGiven: () => void): Promise<LaunchReply> {
  const answered = new AbortController();
  const { signal } = answered;
  const watch = async (): Promise<void> => {
    for (let silences = 0; silences < mostSilences; ) {
      await sleep(pingAfterMs, undefined, { signal });
      silences = (await isSilent(place, ping, pingAfterMs)) ? silences + 1 : 0;
    }
    if (!signal.aborted) killSupervisor(place);
  };
  watch().catch(() => undefined);
  return askControlSocket<LaunchReply>(place, plan, patienceMs, onGiven).finally(() => answered.abort());
}

/** Nobody listens there, so nobody has heard what was asked. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ECONNREFUSED");
}

const starting = new Map<string, Promise<"ready" | "busy">>();

/** However many of this process's runs need it at one moment. */
function startOnce(place: string, plan: LaunchPlan): Promise<"ready" | "busy"> {
  const going = starting.get(place) ?? startSupervisor(place, plan).finally(() => starting.delete(place));
  starting.set(place, going);
  return going;
}

async function startSupervisor(place: string, { home, locking }: LaunchPlan): Promise<"ready" | "busy"> {
  const child = spawn(process.execPath, [supervisor, place, locking], {
    cwd: "/",
    detached: true,
    env: { PATH: systemPath, NODE_COMPILE_CACHE: compileCache(home) },
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  child.unref();
  const from = child.stdio[3] as Readable;
  try {
    return await getWord(child, from);
  } finally {
    from.destroy();
  }
}

function getWord(child: ChildProcess, from: Readable): Promise<"ready" | "busy"> {
  const { promise, resolve, reject } = Promise.withResolvers<"ready" | "busy">();
  child.once("error", () => reject(new Error("The supervisor could not be started")));
  from.once("data", (word) => resolve(String(word) === "ready" ? "ready" : "busy"));
  from.once("error", () => resolve("busy"));
  from.once("end", () => reject(new Error("The supervisor ended before it was ready")));
  return promise;
}
