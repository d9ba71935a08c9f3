import { type LocalPort, portVariables } from "../network/local-ports.ts";
import { type Account, loginVariables } from "../sandbox/account.ts";
import { spareBin } from "../sandbox/tools.ts";
import type { LaunchPlan } from "./plan.ts";

export interface MachinePlace {
  readonly plan: LaunchPlan;
  readonly rank: number;
  /** Of the first machine; only where there are several. */
  readonly masterPort: number | undefined;
  /** What it serves; nothing but in the first machine. */
  readonly ports: readonly LocalPort[];
}

export interface RunPaths {
  readonly account: Account;
  readonly workspace: string;
  /** Every volume, in their order, as it is seen inside. */
  readonly volumes: readonly string[];
}

/** Nothing of this program's own environment is passed on, and the run cannot change what Berth says about it. */
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
