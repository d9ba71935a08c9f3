import type { Context } from "#core/context.ts";
import type { Compute } from "#core/ports/compute.ts";
import type { LiveLogs } from "#core/ports/run-log.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import type { Reach } from "#gateway/ports/reach.ts";
import type { Use } from "#gateway/ports/use.ts";

export interface Environments {
  readonly compute: Compute;
  readonly volumes: Volumes;
  readonly liveLogs?: LiveLogs;
  readonly reach: Pick<Reach, "openTerminal">;
  /** Uses of a run by this process, beside programs in it. */
  readonly getUse: (run: string) => Use;
  readonly isolation: string;
  readonly limits: string;
  /** Why environments share this machine's network. If undefined, each has its own, or isolation is off. */
  readonly sharedNetwork: string | undefined;
  readonly sshPort: number | undefined;
  readonly cluster: ClusterDescription | undefined;
  /** Call once, before the first message. */
  adopt(ctx: Context<"table">): Promise<void>;
  shutdown(): Promise<void>;
  /** Leaves environments running for the next start, and stops their helpers in this process. */
  leave(): Promise<void>;
}

export interface ClusterDescription {
  readonly name: string;
  readonly nodes: string;
  readonly lacks: readonly string[];
}
