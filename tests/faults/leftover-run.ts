import type { Run } from "#core/ports/compute.ts";

const HOURS = 9 * 3_600_000;

/** Returns a run on a whole machine that no record knows. `now` is in ms. */
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
