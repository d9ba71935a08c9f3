export type FunctionsFile = readonly FunctionEntry[];

export type FunctionEntry = EndpointEntry | ConsumerEntry | ScheduleEntry | SocketEntry | FallbackEntry;

interface Entry<Kind extends string> {
  readonly name: string;
  /** From the root of the project: `functions/gpu-dev/jobs/cancel.ts`. Exports `handler` once it can run on AWS. */
  readonly file: string;
  readonly kind: Kind;
  readonly uses: readonly PortName[];
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  /**
   * The settings that its code reads, by their names in .env.example. It gets no others
   * (scripts/bundling/function-settings.ts).
   */
  readonly settings: readonly string[];
}

export type PortName =
  | ("table" | "queue" | "compute" | "machineGroups" | "volumes" | "blobs")
  | ("identity" | "sealer" | "githubKeys" | "fetch");

export interface EndpointEntry extends Entry<"endpoint"> {
  readonly dialect: string;
  readonly route: string;
  readonly method: "get" | "post" | "put" | "delete";
  readonly path: string;
  readonly public: boolean;
  /**
   * Whether it is behind a function URL, because it may take longer than the HTTP API waits. Its path then has no
   * other method (docs/architecture/edge.md#slow-calls).
   */
  readonly functionUrl?: true;
}

export interface ConsumerEntry extends Entry<"consumer"> {
  readonly queue: "work" | "pools" | "webhooks";
}

export interface ScheduleEntry extends Entry<"schedule"> {
  readonly minutes: number;
  readonly atStart: boolean;
}

export interface SocketEntry extends Entry<"socket"> {
  readonly dialect: string;
  readonly path: string;
}

export interface FallbackEntry extends Entry<"fallback"> {
  readonly route: "$default";
}

export type QueueName = ConsumerEntry["queue"] | "shell";

export function capitalize(text: string): string {
  return `${text[0]?.toUpperCase()}${text.slice(1)}`;
}
