import type { LaunchPlan } from "./plan.ts";

/** Where programs are looked for: the same for every run, whatever the one who started the stack has set. */
export const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface MachinePlace {
  readonly plan: LaunchPlan;
  readonly rank: number;
  /** Of the first machine; only where there are several. */
  readonly masterPort: number | undefined;
}

export interface Places {
  readonly work: string;
  readonly workspace: string;
}

/** Nothing of this program's own environment is passed on, and the run cannot change what Berth says about it. */
export function environmentOf({ plan, rank, masterPort }: MachinePlace, places: Places): Record<string, string> {
  const cluster = {
    NODE_RANK: String(rank),
    NNODES: String(plan.machines),
    MASTER_ADDR: "127.0.0.1",
    MASTER_PORT: String(masterPort),
  };
  return {
    ...{ PATH: systemPath, LANG: "C.UTF-8", TERM: "dumb", HOME: places.work },
    ...plan.env,
    ...(masterPort === undefined ? {} : cluster),
    BERTH_GPUS: String(plan.gpusPerMachine),
    BERTH_RUN: plan.name,
    WORKSPACE: places.workspace,
  };
}
