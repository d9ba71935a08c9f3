import type { Exec, ExecStatus } from "#core/ports/exec.ts";
import { askSupervisor } from "../access/tools.ts";
import type { Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { MAIN } from "../runs/run-job.ts";
import { answerBytes, type ExecAnswer, toExecStatus } from "./exec-script.ts";
import { execInPod, type PodCommandResult } from "./pod-exec.ts";

/** Exit codes from images/tools/shared/shared.go. */
const exitCodes = { unknown: 66, noPlace: 70, closed: 71, malformed: 72 } as const;

/** Users' text arrives on standard input only. */
export async function startSupervised(place: ClusterContext, pod: Pod, exec: Exec, timeoutMs: number): Promise<void> {
  const { id, words, env, directory = "", stdin } = exec;
  const order = { id, words, env, directory, stdin: Buffer.from(stdin).toString("base64"), timeoutMs: exec.timeoutMs };
  const command = { words: askSupervisor("exec"), stdin: JSON.stringify(order), timeoutMs };
  const { exitCode } = await askPod(place, pod, command);
  if (exitCode === 0) return;
  if (exitCode === exitCodes.noPlace) throw new Error("The supervisor of this container cannot write its files");
  if (exitCode === exitCodes.malformed) throw new Error("The command arrived incomplete");
  if (exitCode === exitCodes.closed) throw new Error("The container is shutting down");
  throw new Error("The supervisor of this container refused the command");
}

/** Returns undefined if there is no such command. */
export async function readSupervised(
  place: ClusterContext,
  pod: Pod,
  { id, waitMs, timeoutMs }: { readonly id: string; readonly waitMs: number; readonly timeoutMs: number },
): Promise<ExecStatus | undefined> {
  const command = { words: askSupervisor("read", id, String(Math.ceil(waitMs))), timeoutMs };
  const { exitCode, stdout } = await askPod(place, pod, command);
  if (exitCode === exitCodes.unknown) return undefined;
  if (exitCode !== 0) throw new Error("The state of the command is unknown");
  return toExecStatus(answerIn(stdout));
}

/** Throws if the number is unknown. */
export async function countSupervised(place: ClusterContext, pod: Pod, timeoutMs: number): Promise<number> {
  const { exitCode, stdout } = await askPod(place, pod, { words: askSupervisor("count"), timeoutMs });
  if (exitCode !== 0) throw new Error("The supervisor does not answer");
  return Number(stdout.toString());
}

/** Exit code from images/tools/shared/shared.go. Older tools do not support the request. */
const wrongUse = 64;

/** Counts work without a connection; null if unknown, as with older tools and Jupyter. Throws without an answer. */
export async function countSupervisedWork(
  place: ClusterContext,
  pod: Pod,
  { hasJupyter, timeoutMs }: { readonly hasJupyter: boolean; readonly timeoutMs: number },
): Promise<number | null> {
  const { exitCode, stdout } = await askPod(place, pod, { words: askSupervisor("work"), timeoutMs });
  if (exitCode === wrongUse && !hasJupyter) return 0;
  const [, count] = /^(\d{1,9})\n$/.exec(stdout.toString()) ?? [];
  return exitCode === 0 && count !== undefined ? Number(count) : null;
}

interface SupervisorCall {
  readonly words: readonly string[];
  readonly stdin?: string;
  readonly timeoutMs: number;
}

export async function askPod(
  place: ClusterContext,
  { metadata }: Pick<Pod, "metadata">,
  { words, stdin = "", timeoutMs }: SupervisorCall,
): Promise<PodCommandResult> {
  const pod = `${place.paths.pods}/${metadata.name}`;
  const input = Buffer.from(stdin);
  return execInPod(place.client, { pod, container: MAIN, words, stdin: input, timeoutMs, mostBytes: answerBytes });
}

interface First {
  readonly end: { readonly state: ExecStatus["state"]; readonly exitCode: number; readonly timedOut: boolean };
  readonly directory: string;
  readonly stdout: number;
  readonly stderr: number;
}

/** Parses an answer, whose first line gives the length of each stream. */
function answerIn(output: Buffer): ExecAnswer {
  const from = output.indexOf("\n") + 1;
  const { end, directory, ...lengths } = JSON.parse(output.subarray(0, from).toString()) as First;
  const stdout = output.subarray(from, from + lengths.stdout);
  const stderr = output.subarray(from + lengths.stdout, from + lengths.stdout + lengths.stderr);
  const hasEnded = end.state === "ended";
  return { exitCode: hasEnded ? end.exitCode : null, timedOut: hasEnded && end.timedOut, directory, stdout, stderr };
}
