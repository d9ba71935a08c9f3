import { join } from "node:path";
import type { RunRef } from "#core/ports/compute.ts";
import type { LimitWay } from "../sandbox/limits.ts";
import type { Programs } from "../sandbox/local-path.ts";
import type { Locking } from "../supervisor/lock.ts";
import type { SshEntry } from "./observation.ts";
import type { PretendNode } from "./pretend-node.ts";
import { type Isolation, type Network, readRun } from "./records.ts";
import type { RunPlace } from "./removal.ts";
import { runOfName } from "./run-directory.ts";

export interface ProcessComputeOptions extends SshEntry {
  /** Runs live in `<home>/runs`; a sandbox sees nothing of it but the run's own work directory. */
  readonly home: string;
  readonly nodes: readonly PretendNode[];
  /** Found out by trying when not given. */
  readonly isolation?: Isolation;
  /** Of sandboxes; found out by trying when not given. */
  readonly network?: Network;
  /** Where runs look for programs; the system's own places when not given. */
  readonly programs?: Programs;
  readonly locking?: Locking;
  /** How runs are limited; found out by trying when not given. */
  readonly limits?: LimitWay;
  /** How long a start waits for its supervisor before it says that the run has not begun; 1.5 s when not given. */
  readonly startedWithinMs?: number;
}

/** This machine, as the one that runs environments. */
export interface Host {
  readonly runs: string;
  readonly options: ProcessComputeOptions &
    Required<
      Pick<ProcessComputeOptions, "isolation" | "network" | "locking" | "limits" | "programs" | "startedWithinMs">
    >;
  readonly applying: Set<Promise<void>>;
  closing: boolean;
}

/** Where a run of this name is, or would be. */
export function findPlace({ runs, options }: Host, name: string): RunPlace {
  return { name, directory: join(runs, name), locking: options.locking };
}

/** The run that a directory of this name holds; empty where the name is no run's. */
export function findRef({ runs }: Host, name: string): RunRef[] {
  const named = runOfName(name);
  return named ? [{ ...named, key: readRun(join(runs, name))?.key ?? "" }] : [];
}
