import type { Exec, ExecStatus } from "#core/ports/exec.ts";
import { isJupyterWanted } from "../access/jupyter.ts";
import { isSupervised } from "../access/tools.ts";
import { nameOfRun, type RunId } from "../names.ts";
import type { Pod } from "../objects.ts";
import { type ClusterContext, findJob, findLivingPod, getLivingPod, isLiving } from "../runs/read-run.ts";
import { MAIN } from "../runs/run-job.ts";
import {
  answerBytes,
  countScript,
  type ExecAnswer,
  exitCodes,
  readScript,
  startScript,
  toExecStatus,
} from "./exec-script.ts";
import { execInPod, type PodCommandResult } from "./pod-exec.ts";
import { countSupervised, countSupervisedWork, readSupervised, startSupervised } from "./supervised-exec.ts";

/** Allows for an overloaded machine. */
const startedWithinMs = 20_000;
const answeredWithinMs = 5_000;
const longestWaitMs = 4_000;
const UNKNOWN = "The state of the command is unknown";

export async function startExec(place: ClusterContext, id: RunId, exec: Exec): Promise<void> {
  if (!isExecId(exec.id)) throw new Error("The id of the exec is not valid");
  const { input, sizes } = buildInput(exec);
  const pod = await getLivingPod(place, id);
  if (isSupervised(pod)) return startSupervised(place, pod, exec, startedWithinMs);
  const args = [getBase(id), exec.id, String(exec.timeoutMs / 1000), String(input.length), ...sizes];
  const result = await runScript(place, pod, { script: startScript, args, stdin: input, timeoutMs: startedWithinMs });
  if (result.exitCode === 0) return;
  if (result.exitCode === exitCodes.noPlace) throw new Error("The container cannot write to /tmp");
  if (result.exitCode === exitCodes.cutOff) throw new Error("The command arrived incomplete");
  throw new Error("This image lacks the tools for commands: a shell, coreutils and util-linux, or busybox");
}

export async function readExec(
  place: ClusterContext,
  id: RunId,
  execId: string,
  waitMs: number,
): Promise<ExecStatus | undefined> {
  if (!isExecId(execId)) return undefined;
  const pod = await findLivingPod(place, id);
  if (!pod) return undefined;
  const wait = Math.min(Math.max(waitMs, 0), longestWaitMs);
  const timeoutMs = answeredWithinMs + wait;
  if (isSupervised(pod)) return readSupervised(place, pod, { id: execId, waitMs: wait, timeoutMs });
  const args = [getBase(id), execId, String(Math.ceil(wait / 100))];
  const result = await runScript(place, pod, { script: readScript, args, stdin: Buffer.alloc(0), timeoutMs });
  if (result.exitCode === exitCodes.unknown) return undefined;
  if (result.exitCode !== 0) throw new Error(UNKNOWN);
  return toExecStatus(answerIn(result));
}

/** Returns how many commands run, or null if that is unknown. */
export async function countExecs(place: ClusterContext, id: RunId): Promise<number | null> {
  const command = { script: countScript, args: [getBase(id)], stdin: Buffer.alloc(0), timeoutMs: answeredWithinMs };
  try {
    const pod = await getLivingPod(place, id);
    if (isSupervised(pod)) return await countSupervised(place, pod, answeredWithinMs);
    const { exitCode, stdout } = await runScript(place, pod, command);
    return exitCode === 0 ? Number(stdout.toString()) : null;
  } catch {
    return null;
  }
}

/**
 * Counts what works in a run without a connection of this stack (see Compute): work, or else clients of a gateway. Only a
 * supervisor can tell.
 */
export async function countWork(place: ClusterContext, id: RunId): Promise<number | null> {
  const job = await findJob(place, id);
  if (!job || !isLiving(job)) return 0;
  const pod = await getLivingPod(place, id);
  const options = { hasJupyter: isJupyterWanted(job), timeoutMs: answeredWithinMs };
  if (!isSupervised(pod)) return 0;
  const count = await countSupervisedWork(place, pod, options);
  return count === 0 ? countSupervised(place, pod, answeredWithinMs) : count;
}

/** Reports whether the id may become part of a path. */
function isExecId(id: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,99}$/.test(id);
}

function getBase(id: RunId): string {
  return `/tmp/.berth-${nameOfRun(id)}`;
}

interface Script {
  readonly script: string;
  readonly args: readonly string[];
  readonly stdin: Buffer;
  readonly timeoutMs: number;
}

async function runScript(
  place: ClusterContext,
  pod: Pod,
  { script, args, stdin, timeoutMs }: Script,
): Promise<PodCommandResult> {
  return execInPod(place.client, {
    pod: `${place.paths.pods}/${pod.metadata.name}`,
    container: MAIN,
    words: ["/bin/sh", "-c", script, "berth", ...args],
    stdin,
    timeoutMs,
    mostBytes: answerBytes,
  });
}

/** Returns the input of the start script, and the sizes that separate its parts. */
function buildInput({ words, env, directory = "", stdin }: Exec): { input: Buffer; sizes: string[] } {
  const variables = Object.entries(env);
  if (variables.some(([name]) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)))
    throw new Error("The name of a variable is invalid");
  const pairs = variables.map(([name, value]) => `${name}=${value}`);
  const parts = [directory, ...pairs, ...words].map((text) => Buffer.from(text));
  if (parts.some((part) => part.includes(0))) throw new Error("The command contains a NUL character");
  const [first = 0, ...others] = parts.map(({ length }) => length);
  const sizes = [first, pairs.length, ...others].map(String);
  return { input: Buffer.concat([...parts, Buffer.from(stdin)]), sizes };
}

function answerIn({ stdout: output, stderr }: PodCommandResult): ExecAnswer {
  const line = output.subarray(0, output.indexOf("\n")).toString();
  const [code = "-", late, size] = line.split(" ");
  // A full disk or a killed reader leaves no code, and that is no success.
  if (!/^(-|\d+)$/.test(code)) throw new Error(UNKNOWN);
  const from = line.length + 1 + Number(size);
  const directory = output.subarray(line.length + 1, from).toString();
  return {
    exitCode: code === "-" ? null : Number(code),
    timedOut: late === "1" && code !== "-",
    directory: directory.replace(/\n$/, ""),
    stdout: output.subarray(from),
    stderr,
  };
}
