import { type LocalPort, portVariables } from "../network/local-ports.ts";
import { type Account, loginVariables } from "../sandbox/account.ts";
import { spareBin } from "../sandbox/tools.ts";
import type { LaunchPlan } from "./plan.ts";

export interface MachinePlace {
  readonly plan: LaunchPlan;
  readonly rank: number;
  /** Set only if there are several machines. */
  readonly masterPort: number | undefined;
  /** Empty except in the first machine. */
  readonly ports: readonly LocalPort[];
}

export interface RunPaths {
  readonly account: Account;
  readonly workspace: string;
  readonly volumes: readonly string[];
}

/** Berth's own environment is not passed on, and the run cannot override the variables below its own. */
export function buildEnvironment(
  { plan, rank, masterPort, ports }: MachinePlace,
  places: RunPaths,
): Record<string, string> {
  const cluster = {
    NODE_RANK: String(rank),
    NNODES: String(plan.machines),
    MASTER_ADDR: "127.0.0.1",
    MASTER_PORT: String(masterPort),
  };
  return {
    PATH: `${plan.programs.path}:${spareBin(plan.home, plan.isolation)}`,
    LANG: "C.UTF-8",
    TERM: "dumb",
    ...loginVariables(places.account),
    ...plan.env,
    ...(masterPort === undefined ? {} : cluster),
    BERTH_GPUS: String(plan.gpusPerMachine),
    BERTH_RUN: plan.name,
    WORKSPACE: places.workspace,
    ...Object.fromEntries(places.volumes.map((path, n) => [`BERTH_VOLUME_${n + 1}`, path])),
    ...portVariables(ports),
  };
}
