import { execFile, fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { logicalName } from "../functions.ts";
import type { FunctionEntry } from "../functions-file.ts";

/** What a function answered, or the words of what it threw. */
export type Answered = { readonly value?: unknown } | { readonly error: string };

export const canUnpack = spawnSync("unzip", ["-v"]).status === 0;
const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Unpacks the zip that a deployment would upload of this function, and hands it these events in a process of its own, whose
 * environment holds what the function's does and nothing else. Throws where it does not load.
 */
export async function callZip(
  entry: FunctionEntry,
  environment: Readonly<Record<string, string>>,
  events: readonly unknown[],
): Promise<Answered[]> {
  const place = await mkdtemp(join(tmpdir(), "berth-zip-"));
  try {
    await promisify(execFile)("unzip", ["-q", zipOf(entry), "-d", place]);
    return await callUnpacked(place, environment, events);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** As SST has written it in the synthesis. */
function zipOf(entry: FunctionEntry): string {
  return join(root, ".sst/artifacts", logicalName(entry), "code.zip");
}

async function callUnpacked(
  place: string,
  environment: Readonly<Record<string, string>>,
  events: readonly unknown[],
): Promise<Answered[]> {
  const bootstrap = fileURLToPath(new URL("bootstrap.mjs", import.meta.url));
  const child = fork(bootstrap, [place], { cwd: place, env: { ...environment }, execArgv: [], silent: true });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (part) => (said += part));
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`It ended with ${code}: ${said.slice(-500)}`);
  });
  ended.catch(() => undefined);
  const next = async () => (await Promise.race([once(child, "message"), ended]))[0];
  try {
    await next();
    const answers: Answered[] = [];
    for (const event of events) {
      const answer = next();
      child.send(event as object);
      answers.push(await answer);
    }
    return answers;
  } finally {
    child.kill("SIGKILL");
  }
}
