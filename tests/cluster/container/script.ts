import type { Container, Pod } from "../kubelet/pod.ts";

/**
 * Behaviour of a pretend container. By default an init container ends with 0, and any other runs until it is stopped.
 */
export interface ContainerScript {
  /** The kubelet refuses the whole pod with this message, before any container begins. */
  readonly refusal?: string;
  /** Pulls of its image fail always, or only the first time. */
  readonly pull?: "fails" | "fails once";
  /** The image lacks the program of its command. */
  readonly start?: "fails";
  /** Time until it runs, and from there until it is ready. */
  readonly startMs?: number;
  readonly readyMs?: number;
  /** Exit code, `afterMs` after its start. */
  readonly exitCode?: number;
  /** The container exceeds its memory limit `afterMs` after its start. */
  readonly oom?: true;
  readonly afterMs?: number;
  /** Time from SIGTERM to its end. After the pod's grace period it is killed. */
  readonly stopMs?: number;
  /** Text in its log from the start. */
  readonly output?: string;
  /** The node does not find its log, always or only the first time. */
  readonly log?: "missing" | "missing once";
  /** The command runs as a process of this machine, and the container ends with it. */
  readonly process?: true;
  /** Ports of this machine by ports of the pod. A port that is not listed has the same number. */
  readonly ports?: Readonly<Record<number, number>>;
}

/** Behaviour by the name of the container. */
export type PodScript = Readonly<Record<string, ContainerScript>>;

const annotation = "kubelet.test/script";

/** Returns the annotations of a pod with this behaviour. */
export function scripted(script: PodScript): Record<string, string> {
  return { [annotation]: JSON.stringify(script) };
}

/** Reads the behaviour from a pod's annotation. */
export function annotatedScript({ metadata }: Pod): PodScript {
  return JSON.parse(metadata.annotations?.[annotation] ?? "{}") as PodScript;
}

export function scriptOfContainer(pod: PodScript, container: Container, isInit: boolean): ContainerScript {
  const endsAtOnce = isInit && container.restartPolicy !== "Always" && pod[container.name]?.process === undefined;
  return { ...(endsAtOnce ? { exitCode: 0 } : {}), ...pod[container.name] };
}
