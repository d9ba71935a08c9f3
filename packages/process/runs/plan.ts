import type { Run, RunPort } from "#core/ports/compute.ts";
import { RunRefused } from "#core/problem.ts";
import { hostNameFor } from "../sandbox/host-name.ts";
import { computeLimits, type LimitWay, type RunLimits } from "../sandbox/limits.ts";
import type { Programs } from "../sandbox/local-path.ts";
import type { Locking } from "../supervisor/lock.ts";
import { isVolumeId } from "../volumes/volume-directory.ts";
import type { Isolation, Network } from "./records.ts";

/** Plan that the supervisor receives through its socket. It contains secrets and is never written to disk. */
export interface LaunchPlan {
  readonly name: string;
  readonly hostName: string;
  readonly home: string;
  readonly isolation: Isolation;
  readonly network: Network;
  readonly programs: Programs;
  readonly locking: Locking;
  readonly command: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly machines: number;
  readonly gpusPerMachine: number;
  readonly image: string;
  /** Ids of the first machine's volumes. The first volume is the workspace. */
  readonly mounts: readonly { readonly volume: string; readonly path: string }[];
  readonly ports: readonly RunPort[];
  readonly startsIn: "workspace" | "home";
  readonly limits: RunLimits;
}

export type LaunchReply = "started" | "ended" | "known" | "busy" | "gone";

/** Validates a run. Throws `RunRefused` for text that no process can receive; messages contain no values. */
export function buildLaunchPlan(
  run: Run,
  name: string,
  options: Pick<LaunchPlan, "home" | "isolation" | "network" | "locking" | "programs"> & { readonly limits: LimitWay },
): LaunchPlan {
  const { home, isolation, network, locking, programs, limits } = options;
  for (const [variable, value] of Object.entries(run.env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable))
      throw new RunRefused("The name of an environment variable is not valid");
    if (value.includes("\0")) throw new RunRefused(`Environment variable ${variable} contains a NUL character`);
  }
  if (run.command?.includes("\0")) throw new RunRefused("The command contains a NUL character");
  if (run.image.includes("\0")) throw new RunRefused("The name of the image contains a NUL character");
  if (run.mounts.some(({ volume }) => !isVolumeId(volume.id))) throw new Error("The id of the volume is not valid");
  if (!run.mounts.every(({ path }) => isMountPath(path))) throw new Error("The mount path of the volume is not valid");
  if (run.shares.length === 0) throw new Error("A run needs at least one machine");
  return {
    name,
    hostName: hostNameFor(run.name),
    home,
    isolation,
    network,
    programs,
    locking,
    command: run.command ?? null,
    env: { ...run.env },
    machines: run.shares.length,
    gpusPerMachine: run.gpusPerMachine,
    image: run.image,
    mounts: run.mounts.map(({ volume, path }) => ({ volume: volume.id, path })),
    ports: run.ports.map(({ port, kind }) => ({ port, kind })),
    startsIn: run.ports.length > 0 || run.resources !== null ? "workspace" : "home",
    limits: computeLimits(run, name, limits),
  };
}

const systemPlaces = [
  "bin",
  "dev",
  "etc",
  "lib",
  "lib32",
  "lib64",
  "libx32",
  "nix",
  "proc",
  "run",
  "sbin",
  "sys",
  "usr",
];

function isMountPath(path: string): boolean {
  const parts = path.split("/").slice(1);
  const isPlain = /^(\/[A-Za-z0-9._-]+)+$/.test(path) && !parts.includes(".") && !parts.includes("..");
  return isPlain && !systemPlaces.includes(parts[0] ?? "");
}
