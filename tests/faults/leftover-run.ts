import type { Run } from "#core/ports/compute.ts";

const HOURS = 9 * 3_600_000;

/** A run on all of a machine, as somebody may have made it whom no record knows; `now` in ms. */
export function leftoverRun({ uid, run, key, node, now }: Pick<Run, "uid" | "run" | "key"> & LeftoverPlace): Run {
  return {
    uid,
    run,
    key,
    name: "leftover",
    pool: "h100",
    instanceType: "p5.48xlarge",
    image: "i",
    command: undefined,
    env: {},
    shares: [{ node, units: 8 }],
    gpusPerMachine: 8,
    mounts: [],
    ports: [],
    resources: null,
    until: now + HOURS,
  };
}

interface LeftoverPlace {
  readonly node: string;
  readonly now: number;
}
