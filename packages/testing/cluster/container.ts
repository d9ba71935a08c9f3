import { type ContainerLog, containerLog } from "./container-log.ts";
import { type ContainerProcess, type Guard, startProcess } from "./container-process.ts";
import type { Container, ContainerState } from "./pod.ts";
import type { ContainerScript } from "./script.ts";

/** One pretend container from waiting to its end. It is never started again. */
export interface RunningContainer {
  readonly spec: Container;
  readonly script: ContainerScript;
  readonly log: ContainerLog;
  readonly env: Readonly<Record<string, string>>;
  readonly state: ContainerState;
  readonly isReady: boolean;
  /** Pulls its image and starts; returns when it runs or has ended. A pull that fails goes on until it is stopped. */
  start(): Promise<void>;
  readonly ended: Promise<void>;
  /** Asks it to end, and kills it after the grace. */
  stop(graceMs: number): void;
  /** Ends it now. */
  end(exitCode: number, reason?: string): void;
}

export interface ContainerPlace {
  readonly cwd: string;
  readonly guard: Guard;
  readEnv(): Promise<Record<string, string>>;
  /** Called whenever its state is another. */
  changed(): void;
}

/** A kubelet looks again for what its container lacks; a real one takes longer. */
const configAgainMs = 200;

export function pretendContainer(spec: Container, script: ContainerScript, place: ContainerPlace): RunningContainer {
  const log = containerLog();
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const timers: NodeJS.Timeout[] = [];
  const after = (ms: number, then: () => void) => void timers.push(setTimeout(then, ms));
  let state: ContainerState = { waiting: { reason: "PodInitializing" } };
  let isReady = false;
  let env: Record<string, string> = {};
  let running: ContainerProcess | undefined;

  const become = (next: ContainerState, nowReady = false) => {
    if ("terminated" in state) return;
    state = next;
    isReady = nowReady;
    place.changed();
  };
  const end = (exitCode: number, reason = exitCode === 0 ? "Completed" : "Error") => {
    if ("terminated" in state) return;
    const startedAt = "running" in state ? state.running.startedAt : null;
    for (const timer of timers) clearTimeout(timer);
    running?.signal("SIGKILL");
    become({ terminated: { exitCode, reason, startedAt, finishedAt: startedAt && now() } });
    log.end();
    begun.resolve();
    ended.resolve();
  };
  const run = () => {
    become({ running: { startedAt: now() } }, script.readyMs === undefined);
    if (script.readyMs !== undefined) after(script.readyMs, () => "running" in state && become(state, true));
    if (script.output !== undefined) log.write(script.output);
    if (script.process) running = startProcess(spec, { env, cwd: place.cwd, log, guard: place.guard }, end);
    if (script.oom) after(script.afterMs ?? 0, () => end(137, "OOMKilled"));
    else if (script.exitCode !== undefined) after(script.afterMs ?? 0, () => end(script.exitCode ?? 0));
    begun.resolve();
  };
  const pull = async () => {
    if (script.pull === "fails") return failPull(spec.image, become, after);
    try {
      env = await place.readEnv();
    } catch (error) {
      become({ waiting: { reason: "CreateContainerConfigError", message: (error as Error).message } });
      return after(configAgainMs, () => void pull());
    }
    if (!("terminated" in state)) run();
  };

  return {
    spec,
    script,
    log,
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

function failPull(image: string, become: (state: ContainerState) => void, after: (ms: number, f: () => void) => void) {
  const message = `failed to pull and unpack image "${image}": failed to resolve reference "${image}": not found`;
  become({ waiting: { reason: "ErrImagePull", message } });
  after(300, () =>
    become({
      waiting: { reason: "ImagePullBackOff", message: `Back-off pulling image "${image}": ErrImagePull: ${message}` },
    }),
  );
}

/** As Kubernetes writes a time: whole seconds. */
export function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}
