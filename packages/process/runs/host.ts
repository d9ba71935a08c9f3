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
  /** Runs live in `<home>/runs`. A sandbox sees only its own work directory there. */
  readonly home: string;
  readonly nodes: readonly PretendNode[];
  readonly isolation?: Isolation;
  readonly network?: Network;
  readonly programs?: Programs;
  readonly locking?: Locking;
  readonly limits?: LimitWay;
  /** Time in which a run must begin, 1.5 s by default. */
  readonly startedWithinMs?: number;
}

export interface Host {
  readonly runs: string;
  readonly options: ProcessComputeOptions &
    Required<
      Pick<ProcessComputeOptions, "isolation" | "network" | "locking" | "limits" | "programs" | "startedWithinMs">
    >;
  readonly applying: Set<Promise<void>>;
  closing: boolean;
}

export function findPlace({ runs, options }: Host, name: string): RunPlace {
  return { name, directory: join(runs, name), locking: options.locking };
}

export function findRef({ runs }: Host, name: string): RunRef[] {
  const named = runOfName(name);
  return named ? [{ ...named, key: readRun(join(runs, name))?.key ?? "" }] : [];
}
