import type { Container, Pod } from "../kubelet/pod.ts";

/** Behaviour of a pretend container. By default an init container ends with 0, and any other runs until it is stopped. */
export interface ContainerScript {
  /** Its image cannot be pulled, ever or the first time; the registry does not know it. */
  readonly pull?: "fails" | "fails once";
  /** Its image lacks the program of its command. */
  readonly start?: "fails";
  /** Until it runs, and from there until it is ready. */
  readonly startMs?: number;
  readonly readyMs?: number;
  /** It ends with this, `afterMs` after it started. */
  readonly exitCode?: number;
  /** It uses more memory than it may, `afterMs` after it started. */
  readonly oom?: true;
  readonly afterMs?: number;
  /** How long it takes to end when it is asked to; beyond the pod's grace it is killed. */
  readonly stopMs?: number;
  /** Text that it writes to its log when it starts. */
  readonly output?: string;
  /** Its node does not find its log, the first time or ever. */
  readonly log?: "missing" | "missing once";
  /** Its command is run as a process of this machine, and it ends as that does. */
  readonly process?: true;
  /** Where port-forward finds a port of the pod on this machine; else at the same number. */
  readonly ports?: Readonly<Record<number, number>>;
}

/** Behaviour by the name of the container. */
export type PodScript = Readonly<Record<string, ContainerScript>>;

const annotation = "kubelet.test/script";

/** Annotations of a pod that does this. */
export function scripted(script: PodScript): Record<string, string> {
  return { [annotation]: JSON.stringify(script) };
}

/** The content of a pod's annotation. */
export function annotatedScript({ metadata }: Pod): PodScript {
  return JSON.parse(metadata.annotations?.[annotation] ?? "{}") as PodScript;
}

export function scriptOfContainer(pod: PodScript, container: Container, isInit: boolean): ContainerScript {
  const endsAtOnce = isInit && container.restartPolicy !== "Always" && pod[container.name]?.process === undefined;
  return { ...(endsAtOnce ? { exitCode: 0 } : {}), ...pod[container.name] };
}
