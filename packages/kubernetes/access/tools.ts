import type { Run, RunPort } from "#core/ports/compute.ts";
import type { Pod } from "../objects.ts";

/** Where the programs of the tools image are in a container, and what must survive its restart. */
const directory = "/.berth";
const supervisor = `${directory}/supervisor`;
const volume = "berth";
const gated = "--gated";
const listFlag = "--list";

/** What makes a container of a run one whose first process is the supervisor of images/tools. */
export interface Supervised {
  readonly initContainers: readonly object[];
  readonly volumes: readonly object[];
  readonly mounts: readonly object[];
  /** Of the container: its command and its startup probe. */
  readonly container: object;
}

/** The words of a question to the supervisor of a container. */
export function askSupervisor(verb: string, ...args: readonly string[]): string[] {
  return [supervisor, verb, ...args];
}

/** A program that a supervisor keeps running. */
export interface WantedService {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly port: number;
}

/** Of images/tools/ssh.sh: it reads the keys at each login. */
export function sshService(login: string, port: number): WantedService {
  return { words: [`${directory}/busybox`, "sh", `${directory}/ssh.sh`, login, String(port)], env: {}, port };
}

interface Supervision {
  readonly graceSeconds: number;
  readonly words: readonly string[] | undefined;
  /** The directory whose files are listed at its end: its disk. */
  readonly listed: string | undefined;
}

/**
 * undefined: it goes without. What an image serves of its own accord has to: only its registry knows what it starts, and
 * the supervisor has to be told.
 */
export function supervisedBy(
  image: string | undefined,
  run: Pick<Run, "command" | "shares">,
  served: readonly RunPort[],
  { graceSeconds, words, listed }: Supervision,
): Supervised | undefined {
  if (!image || (run.command === undefined && served.length > 0)) return undefined;
  const mount = { name: volume, mountPath: directory };
  const isGated = run.shares.length > 1;
  const ports = served.map(({ port }) => port).join(",");
  const flags = [...(isGated ? [gated] : []), ...(ports === "" ? [] : ["--ports", ports])];
  const listing = listed === undefined ? [] : [listFlag, literal(listed)];
  return {
    initContainers: [
      {
        name: "tools",
        image,
        command: ["/tools/supervisor", "install", directory],
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

/** Less than any run has, and said: a pod of which one container has no limits is ended before others. */
const copying = { cpu: "100m", memory: "64Mi" };

/** A command that waits, or serves, has as long as it takes. */
const startupProbe = {
  exec: { command: askSupervisor("ready") },
  periodSeconds: 1,
  timeoutSeconds: 5,
  failureThreshold: 1_000_000,
};

/** By the pod itself: it may have been made under another setting. */
export function isSupervised({ spec }: Pick<Pod, "spec">): boolean {
  return getCommand(spec)[0] === supervisor;
}

/** Whether its command waits for the other machines of its run. */
export function isGated({ spec }: Pick<Pod, "spec">): boolean {
  return isSupervised({ spec }) && getCommand(spec).includes(gated);
}

/** The words that list the files of its disk; undefined: it has none. */
export function listFiles({ spec }: Pick<Pod, "spec">): string[] | undefined {
  const words = getCommand(spec);
  const at = words.indexOf(listFlag);
  const listed = at < 0 ? undefined : words[at + 1];
  return listed === undefined ? undefined : [`${directory}/files`, listed.replaceAll("$$", "$")];
}

/** Kubernetes puts variables of its own in place of `$(NAME)`: doubled, every `$` reaches a process as it was written. */
export function literal(text: string): string {
  return text.replaceAll("$", "$$$$");
}

function getCommand({ containers = [] }: Pod["spec"]): readonly string[] {
  return containers[0]?.command ?? [];
}

/** What the supervisor says of the end of a command, in the termination message of its container. */
export interface ExitMessage {
  readonly started: boolean;
  readonly exitCode?: number;
  readonly signal?: number;
  readonly problem?: string;
  /** The beginning of the list of its disk's files: base64 of gzip. */
  readonly files?: string;
}

/** undefined: the supervisor said nothing. Whatever runs in a container can write its message. */
export function findLastWords(pod: Pick<Pod, "spec">, message: string | undefined): ExitMessage | undefined {
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
