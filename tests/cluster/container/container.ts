import type { Container, ContainerState } from "../kubelet/pod.ts";
import type { ContainerFiles } from "./container-files.ts";
import { type ContainerLog, containerLog } from "./container-log.ts";
import { probeSucceeds } from "./container-probe.ts";
import { type ContainerProcess, type Guard, inside, startProcess } from "./container-process.ts";
import type { ContainerScript } from "./script.ts";

/** Pretend container, which is never restarted. */
export interface RunningContainer {
  readonly spec: Container;
  readonly script: ContainerScript;
  readonly log: ContainerLog;
  readonly env: Readonly<Record<string, string>>;
  readonly state: ContainerState;
  readonly isReady: boolean;
  /** The container runs, and its startup probe has succeeded if it has one. */
  readonly hasStarted: boolean;
  readonly files: ContainerFiles;
  /** Pulls the image and starts. Returns when the container runs or has ended. Repeats a failing pull until stopped. */
  start(): Promise<void>;
  readonly ended: Promise<void>;
  /** Sends SIGTERM, and SIGKILL after the grace period. */
  stop(graceMs: number): void;
  /** Ends the container at once. */
  end(exitCode: number, reason?: string): void;
}

export interface ContainerPlace {
  readonly cwd: string;
  readonly guard: Guard;
  readonly files: ContainerFiles;
  readEnv(): Promise<Record<string, string>>;
  /** Writes an event of its pod, or increases the count of an equal one. */
  tell(reason: string, message: string): void;
  /** Called after each change of its state. */
  changed(): void;
}

/** Pause before another check for missing Secrets. A real kubelet waits longer. */
const configAgainMs = 200;
/**
 * Pause before another pull, which tests can observe on a busy machine. A real kubelet waits 10 s, then twice as long
 * each time.
 */
const pullAgainMs = 3_000;

export function pretendContainer(spec: Container, script: ContainerScript, place: ContainerPlace): RunningContainer {
  const log = containerLog(script.log);
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const timers: NodeJS.Timeout[] = [];
  const after = (ms: number, then: () => void) => void timers.push(setTimeout(then, ms));
  let state: ContainerState = { waiting: { reason: "PodInitializing" } };
  let isReady = false;
  let pulls = 0;
  const over = new AbortController();
  const { files } = place;
  let env: Record<string, string> = {};
  let running: ContainerProcess | undefined;

  const become = (next: ContainerState, nowReady = false) => {
    if ("terminated" in state) return;
    state = next;
    isReady = nowReady;
    place.changed();
  };
  const end = (exitCode: number, reason = exitCode === 0 ? "Completed" : "Error", message?: string) => {
    if ("terminated" in state) return;
    const startedAt = "running" in state ? state.running.startedAt : null;
    for (const timer of timers) clearTimeout(timer);
    running?.signal("SIGKILL");
    over.abort();
    const said = message ?? (running && files.lastWords());
    const words = said === undefined ? {} : { message: said };
    become({ terminated: { exitCode, reason, ...words, startedAt, finishedAt: startedAt && now() } });
    log.end();
    begun.resolve();
    ended.resolve();
  };
  const run = () => {
    const probe = script.process && spec.startupProbe?.exec?.command;
    become({ running: { startedAt: now() } }, script.readyMs === undefined && !probe);
    if (script.readyMs !== undefined) after(script.readyMs, () => "running" in state && become(state, true));
    if (script.output !== undefined) log.write(script.output);
    if (script.process) running = startProcess(spec, { env, cwd: place.cwd, log, guard: place.guard, files }, end);
    if (probe) void probeUntilReady(probe);
    if (script.oom) after(script.afterMs ?? 0, () => end(137, "OOMKilled"));
    else if (script.exitCode !== undefined) after(script.afterMs ?? 0, () => end(script.exitCode ?? 0));
    begun.resolve();
  };
  const failPull = () => {
    const { image } = spec;
    const message = `failed to pull and unpack image "${image}": failed to resolve reference "${image}": not found`;
    place.tell("Failed", `Failed to pull image "${image}": ${message}`);
    become({ waiting: { reason: "ErrImagePull", message } });
    const backOff = `Back-off pulling image "${image}": ErrImagePull: ${message}`;
    after(pullAgainMs / 2, () => become({ waiting: { reason: "ImagePullBackOff", message: backOff } }));
    after(pullAgainMs, () => void pull());
  };
  const probeUntilReady = async (words: readonly string[]) => {
    const command = files.command(words);
    const passed = await probeSucceeds(command, { env: inside(env), cwd: place.cwd }, over.signal);
    if (passed && "running" in state) become(state, true);
  };
  const pull = async () => {
    if (!isReference(spec.image)) return become(invalidName(spec.image));
    pulls += 1;
    if (script.pull === "fails" || (script.pull === "fails once" && pulls === 1)) return failPull();
    try {
      env = await place.readEnv();
    } catch (error) {
      become({ waiting: { reason: "CreateContainerConfigError", message: (error as Error).message } });
      return after(configAgainMs, () => void pull());
    }
    if (script.start === "fails") return end(128, "StartError", noProgram(spec));
    if (!("terminated" in state)) run();
  };

  return {
    spec,
    script,
    log,
    files,
    get hasStarted() {
      return "running" in state && (isReady || !(script.process && spec.startupProbe?.exec));
    },
    get env() {
      return env;
    },
    get state() {
      return state;
    },
    get isReady() {
      return isReady;
    },
    ended: ended.promise,
    start() {
      become({ waiting: { reason: "ContainerCreating" } });
      after(script.startMs ?? 0, () => void pull());
      return begun.promise;
    },
    stop(graceMs) {
      if ("waiting" in state) return end(137, "ContainerStatusUnknown");
      running?.signal("SIGTERM");
      const stopMs = script.stopMs ?? 20;
      if (running) after(graceMs, () => end(137));
      else after(Math.min(stopMs, graceMs), () => end(stopMs > graceMs ? 137 : 143));
    },
    end,
  };
}

/** Reports whether this is roughly a valid image reference: parts in lower case, a tag, a digest. */
function isReference(image: string): boolean {
  const name = "(?:[\\w.-]+(?::\\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*";
  return new RegExp(`^${name}(?::[\\w][\\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`).test(image);
}

function invalidName(image: string): ContainerState {
  const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`;
  return { waiting: { reason: "InvalidImageName", message } };
}

/** Returns the error of containerd 2 and runc for a missing program. */
function noProgram({ command = [] }: Container): string {
  const [program = ""] = command;
  return (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: " +
    `unable to start container process: error during container init: exec: "${program}": ` +
    `stat ${program}: no such file or directory`
  );
}

/** Returns the present time as Kubernetes writes it, in whole seconds. */
export function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}
