import type { Context } from "#core/context.ts";
import type { Compute } from "#core/ports/compute.ts";
import type { LiveLogs } from "#core/ports/run-log.ts";
import type { Volumes } from "#core/ports/volumes.ts";

/** Where the environments of a stack run, and what of it a person has to know. */
export interface Environments {
  readonly compute: Compute;
  readonly volumes: Volumes;
  /** Their output, where it is on this machine. */
  readonly liveLogs?: LiveLogs;
  /** As /health and each job say them. */
  readonly isolation: string;
  readonly limits: string;
  /** Why they share this machine's network; undefined where each has its own, or nothing keeps them apart. */
  readonly sharedNetwork: string | undefined;
  /** The port of this machine that leads into them by SSH, if one does. */
  readonly sshPort: number | undefined;
  /** The cluster that they run on; undefined: this machine, and they end with the stack. */
  readonly cluster: ClusterDescription | undefined;
  /** To be called once, before the first message. */
  adopt(ctx: Context<"table">): Promise<void>;
  /** Ends the environments of this machine. */
  shutdown(): Promise<void>;
  /** Leaves environments running for the next start. Ends what works for them in this process. */
  leave(): Promise<void>;
}

/** In words, for the start. */
export interface ClusterDescription {
  readonly name: string;
  readonly nodes: string;
  /** What does not work there, one thing each. */
  readonly lacks: readonly string[];
}
