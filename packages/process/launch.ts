import { type ChildProcess, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { compileCache, systemPath } from "./environment.ts";
import type { LaunchPlan, LaunchReply } from "./plan.ts";

const launcher = fileURLToPath(new URL("./launcher.ts", import.meta.url));
const replies = ["started", "ended", "known", "busy", "gone"] as const satisfies readonly LaunchReply[];

/**
 * Starts the launcher of a run, which outlives this process, and gives it the plan through a pipe. Resolves with its
 * reply, or with undefined when none came within `withinMs`; throws when it ended without one.
 */
export async function launch(directory: string, plan: LaunchPlan, withinMs: number): Promise<LaunchReply | undefined> {
  const child = spawn(process.execPath, [launcher, directory], {
    cwd: "/",
    detached: true,
    env: { PATH: systemPath, NODE_COMPILE_CACHE: compileCache(plan.home) },
    stdio: ["pipe", "ignore", "ignore", "pipe"],
  });
  child.unref();
  const [toLauncher, fromLauncher] = [child.stdio[0] as Writable, child.stdio[3] as Readable];
  toLauncher.on("error", () => undefined).end(JSON.stringify(plan));
  try {
    return await replyOf(child, fromLauncher, withinMs);
  } finally {
    fromLauncher.destroy();
  }
}

function replyOf(child: ChildProcess, from: Readable, withinMs: number): Promise<LaunchReply | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<LaunchReply | undefined>();
  let text = "";
  const late = setTimeout(() => resolve(undefined), withinMs);
  child.once("error", () => reject(new Error("The launcher could not be started")));
  from.on("data", (part) => {
    text += String(part);
    const word = replies.find((reply) => reply === text);
    if (word) resolve(word);
  });
  from.once("error", () => resolve(undefined));
  from.once("end", () => reject(new Error("The launcher ended before the run began")));
  return promise.finally(() => clearTimeout(late));
}
