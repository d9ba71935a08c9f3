import type { Environment } from "#core/environments/record/record.ts";
import type { PoolNode } from "#core/pools/ledger/record.ts";
import type { Outcome } from "../../fakes/memory-run.ts";

/**
 * Checks that a job gets all of its machines, in one zone and in the node group that its grant names, and that no job is
 * blamed for machines that do not come.
 */
export interface CapacityWatch {
  wroteNodes(nodes: readonly PoolNode[]): void;
  wroteEnvironment(before: Environment, next: Environment): void;
}

const GIVEN_UP = /^No machine could start it/;

/** Reports whether a try of the environment was counted, or the last one ended it. */
export function isBlamed(before: Environment, next: Environment): boolean {
  const isGivenUp = before.end.outcome === null && GIVEN_UP.test(next.end.outcome?.reason ?? "");
  return next.placement.withdrawals > before.placement.withdrawals || isGivenUp;
}

export function capacityWatch(options: {
  readonly programmed: (uid: string) => Outcome | undefined;
  readonly liveUnits: (node: string) => number;
  readonly violated: (text: string) => void;
}): CapacityWatch {
  const { programmed, liveUnits, violated } = options;
  const zones = new Map<string, string>();
  const groups = new Map<string, string | undefined>();
  let present: readonly PoolNode[] = [];

  function checkGrant({ id, phase, run, size }: Environment): void {
    if (!run.grant || phase === "stopping") return;
    const { length } = run.grant.shares;
    if (length !== size.machines) violated(`${id} was granted ${length} of its ${size.machines} machines`);
    const ofMachines = run.machines.flatMap(({ uid }) => zones.get(uid) ?? []);
    const found = new Set([...ofMachines, ...run.grant.shares.flatMap(({ zone }) => zone ?? [])]);
    if (found.size > 1) violated(`the machines of ${id} are in ${[...found].join(" and ")}`);
    const named = run.grant.shares.find(({ group }) => group !== undefined)?.group;
    const isOutside = ({ uid }: { readonly uid: string }) => groups.has(uid) && groups.get(uid) !== named;
    if (named !== undefined && run.machines.some(isOutside)) violated(`${id} has a machine outside of ${named}`);
  }

  /** Reports whether as many machines as the run waited for have room. Then the cluster refused the run itself. */
  function haveCome({ run, zone }: Environment): boolean {
    const shares = run.grant?.shares ?? [];
    const open = shares.filter(({ node }) => node === null);
    const wanted = open[0]?.zone ?? zone;
    const others = present.filter(({ name, gone }) => !gone && shares.every(({ node }) => node !== name));
    const group = open[0]?.group;
    const inGroup = others.filter((node) => group === undefined || node.group === group);
    const near = inGroup.filter((node) => wanted === null || node.zone === wanted);
    const fitting = near.filter(({ name, units }) => units - liveUnits(name) >= (open[0]?.units ?? 0));
    return fitting.length >= open.length;
  }

  return {
    wroteNodes(nodes) {
      present = nodes;
      for (const { uid, zone, group } of nodes) {
        zones.set(uid, zone);
        groups.set(uid, group);
      }
    },
    wroteEnvironment(before, next) {
      checkGrant(next);
      const isDoomed = programmed(next.uid)?.kind === "neverBinds" || before.run.lacksVolume !== undefined;
      if (isBlamed(before, next) && !isDoomed && !haveCome(before))
        violated(`${next.id} was blamed although no machine came for it`);
    },
  };
}
