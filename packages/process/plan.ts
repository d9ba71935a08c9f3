import type { Run } from "#core/context.ts";
import type { Locking } from "./lock.ts";
import type { Isolation } from "./records.ts";
import { isVolumeId } from "./volume-directory.ts";

/** What the launcher is told through its standard input: secrets are in here and in no file. */
export interface LaunchPlan {
  readonly name: string;
  readonly home: string;
  readonly isolation: Isolation;
  readonly locking: Locking;
  readonly command: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly machines: number;
  readonly gpusPerMachine: number;
  /** The id of the volume that the first machine mounts. */
  readonly volume: string | null;
}

/** What the launcher answers once, on descriptor 3. */
export type LaunchReply = "started" | "ended" | "known" | "busy" | "gone";

/** The plan of a run; throws, naming no value, for text that no process can be given. */
export function planOf(
  run: Run,
  name: string,
  options: Pick<LaunchPlan, "home" | "isolation" | "locking">,
): LaunchPlan {
  const { home, isolation, locking } = options;
  for (const [variable, value] of Object.entries(run.env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) throw new Error("The name of an environment variable is not valid");
    if (value.includes("\0")) throw new Error(`Environment variable ${variable} holds a NUL character`);
  }
  if (run.command?.includes("\0")) throw new Error("The command holds a NUL character");
  if (run.volume && !isVolumeId(run.volume.id)) throw new Error("The id of the volume is not valid");
  if (run.shares.length === 0) throw new Error("A run needs at least one machine");
  return {
    name,
    home,
    isolation,
    locking,
    command: run.command ?? null,
    env: { ...run.env },
    machines: run.shares.length,
    gpusPerMachine: run.gpusPerMachine,
    volume: run.volume?.id ?? null,
  };
}
