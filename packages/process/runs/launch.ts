import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { hasCode } from "../files.ts";
import { compileCache, systemPath } from "../sandbox/local-path.ts";
import { askControlSocket, isSilent } from "../supervisor/control-socket.ts";
import { killSupervisor, openSupervisorPlace, ping } from "../supervisor/supervisor-place.ts";
import type { LaunchPlan, LaunchReply } from "./plan.ts";

const supervisor = fileURLToPath(new URL("../supervisor/supervisor.ts", import.meta.url));

/**
 * Gives a plan to the home's supervisor, starting it on demand. Resolves with undefined `withinMs` after the supervisor
 * received the plan; the start then continues. Throws if it cannot be reached or ends without a reply.
 */
export async function launch(plan: LaunchPlan, withinMs: number): Promise<LaunchReply | undefined> {
  const late = new AbortController();
  const accepted = Promise.withResolvers<void>();
  const launchRequest = askSupervisor(plan, accepted.resolve).finally(() => late.abort());
  // A later failure has no listener; the run then counts as never begun.
  launchRequest.catch(() => undefined);
  // Until the supervisor has the plan, the start would end with this process.
  await Promise.race([accepted.promise, launchRequest]);
  return Promise.race([launchRequest, sleep(withinMs, undefined, { signal: late.signal }).catch(() => launchRequest)]);
}

const patienceMs = 60_000;
const pingAfterMs = 4_000;
const mostSilences = 3;
const mostStarts = 50;
const mostLosses = 3;
const againAfterMs = 20;

/** Retries if the supervisor is ending or starting. The run's lock and records make a repeated plan harmless. */
async function askSupervisor(plan: LaunchPlan, onGiven: () => void): Promise<LaunchReply> {
  const place = openSupervisorPlace(plan.home);
  for (let starts = 0, losses = 0; ; ) {
    try {
      return await askWatched(place, plan, onGiven);
    } catch (error) {
      // No supervisor listens, so none has received the plan.
      const isAbsent = hasCode(error, "ENOENT", "ECONNREFUSED");
      if (isAbsent) starts += 1;
      else losses += 1;
      if (starts > mostStarts || losses >= mostLosses) throw new Error("The run has no supervisor", { cause: error });
      if (isAbsent && (await startOnce(place, plan)) === "ready") continue;
      await sleep(againAfterMs * Math.max(starts, losses));
    }
  }
}

/** Kills a supervisor that stays silent too long, with its runs: it can no longer start or end one. */
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

const starting = new Map<string, Promise<"ready" | "busy">>();

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
