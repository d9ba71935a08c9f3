import type { Run, RunPort } from "#core/ports/compute.ts";
import type { Pod } from "../objects.ts";

/** Directory of the tools in a container, and of state that must survive its restart. */
export const toolsDirectory = "/.berth";
const supervisor = `${toolsDirectory}/supervisor`;
const volume = "berth";
const gated = "--gated";
const listFlag = "--list";

/** Parts of a pod whose main container starts the supervisor of images/tools as its first process. */
export interface Supervised {
  readonly initContainers: readonly object[];
  readonly volumes: readonly object[];
  readonly mounts: readonly object[];
  readonly container: object;
}

export function askSupervisor(verb: string, ...args: readonly string[]): string[] {
  return [supervisor, verb, ...args];
}

export interface WantedService {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly port: number;
}

/** Service for images/tools/ssh.sh, which reads the keys at each login. */
export function sshService(login: string, port: number): WantedService {
  return { words: [`${toolsDirectory}/busybox`, "sh", `${toolsDirectory}/ssh.sh`, login, String(port)], env: {}, port };
}

interface Supervision {
  readonly graceSeconds: number;
  readonly words: readonly string[] | undefined;
  /** Directory whose files are listed when the command ends: the disk. */
  readonly listed: string | undefined;
}

/** Returns undefined without a tools image, or for ports without a command: only the registry knows the image's own. */
export function supervisedBy(
  image: string | undefined,
  run: Pick<Run, "command" | "shares">,
  served: readonly RunPort[],
  { graceSeconds, words, listed }: Supervision,
): Supervised | undefined {
  if (!image || (run.command === undefined && served.length > 0)) return undefined;
  const mount = { name: volume, mountPath: toolsDirectory };
  const isGated = run.shares.length > 1;
  const ports = served.map(({ port }) => port).join(",");
  const flags = [...(isGated ? [gated] : []), ...(ports === "" ? [] : ["--ports", ports])];
  const listing = listed === undefined ? [] : [listFlag, literal(listed)];
  return {
    initContainers: [
      {
        name: "tools",
        image,
        command: ["/tools/supervisor", "install", toolsDirectory],
        volumeMounts: [mount],
        resources: { limits: copying, requests: copying },
        securityContext: { allowPrivilegeEscalation: false },
      },
    ],
    volumes: [{ name: volume, emptyDir: {} }],
    mounts: [mount],
    container: {
      command: [
        supervisor,
        "run",
        "--grace",
        `${graceSeconds}s`,
        "--ended",
        "/dev/termination-log",
        ...listing,
        ...flags,
      ],
      args: words === undefined ? [] : ["--", ...words],
      ...(flags.length > 0 ? { startupProbe } : {}),
    },
  };
}

/** Resources of the init container, below those of any run. Pods with unlimited containers are evicted first. */
const copying = { cpu: "100m", memory: "64Mi" };

/** Probe without a practical limit: a command may take any time until it serves or until its gate opens. */
const startupProbe = {
  exec: { command: askSupervisor("ready") },
  periodSeconds: 1,
  timeoutSeconds: 5,
  failureThreshold: 1_000_000,
};

/** Reports whether the pod has a supervisor. Reads the pod, because the setting may have changed after its creation. */
export function isSupervised({ spec }: Pick<Pod, "spec">): boolean {
  return getCommand(spec)[0] === supervisor;
}

/** Reports whether the pod's command waits for the other machines of its run. */
export function isGated({ spec }: Pick<Pod, "spec">): boolean {
  return isSupervised({ spec }) && getCommand(spec).includes(gated);
}

export function listFiles({ spec }: Pick<Pod, "spec">): string[] | undefined {
  const words = getCommand(spec);
  const at = words.indexOf(listFlag);
  const listed = at < 0 ? undefined : words[at + 1];
  return listed === undefined ? undefined : [`${toolsDirectory}/files`, listed.replaceAll("$$", "$")];
}

/** Doubles each `$`, because Kubernetes expands `$(NAME)` in commands. */
export function literal(text: string): string {
  return text.replaceAll("$", "$$$$");
}

function getCommand({ containers = [] }: Pod["spec"]): readonly string[] {
  return containers[0]?.command ?? [];
}

/** Supervisor's report of the end of a command, from the container's termination message. */
export interface ExitMessage {
  readonly started: boolean;
  readonly exitCode?: number;
  readonly signal?: number;
  readonly problem?: string;
  /** Base64 of gzip; may be cut. */
  readonly files?: string;
}

/** Parses a supervisor's termination message. Any process in the container can forge it. */
export function parseExitMessage(pod: Pick<Pod, "spec">, message: string | undefined): ExitMessage | undefined {
  if (!isSupervised(pod)) return undefined;
  try {
    const { started, exitCode, signal, problem, files } = (JSON.parse(message ?? "") ?? {}) as Record<string, unknown>;
    if (typeof started !== "boolean") return undefined;
    return {
      started,
      ...(typeof exitCode === "number" && { exitCode }),
      ...(typeof signal === "number" && { signal }),
      ...(typeof problem === "string" && { problem }),
      ...(typeof files === "string" && { files }),
    };
  } catch {
    return undefined;
  }
}
