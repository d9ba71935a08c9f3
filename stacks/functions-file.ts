/** What functions.json says of every function. It is generated: see scripts/function-list.ts. */
export type FunctionsFile = readonly FunctionEntry[];

export type FunctionEntry = EndpointEntry | ConsumerEntry | ScheduleEntry | FallbackEntry;

interface Entry<Kind extends string> {
  /** `gpu-dev/jobs/cancel` */
  readonly name: string;
  /** From the root of the project: `functions/gpu-dev/jobs/cancel.ts`. Exports `handler` once it can run on AWS. */
  readonly file: string;
  readonly kind: Kind;
  /** What it needs permissions and settings for. */
  readonly uses: readonly PortName[];
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
}

export type PortName = "table" | "queue" | "compute" | "identity" | "sealer";

export interface EndpointEntry extends Entry<"endpoint"> {
  readonly dialect: string;
  /** As API Gateway takes it: `POST /v1/jobs/{job_id}/extend`. */
  readonly route: string;
  readonly method: "get" | "post" | "put" | "delete";
  readonly path: string;
  /** Answers without a key. */
  readonly public: boolean;
}

export interface ConsumerEntry extends Entry<"consumer"> {
  readonly queue: "work" | "pools";
}

export interface ScheduleEntry extends Entry<"schedule"> {
  readonly minutes: number;
  /** Also once after a deployment. */
  readonly atStart: boolean;
}

/** Serves whatever no endpoint's route takes. */
export interface FallbackEntry extends Entry<"fallback"> {
  readonly route: "$default";
}
