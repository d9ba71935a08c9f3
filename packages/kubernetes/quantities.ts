import type { Pod, Quantities } from "./objects.ts";

const factors: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** What a quantity says, as a number: `500m` is 0.5, `4Gi` is 4294967296; 0 for one that is none. */
export function amountOf(quantity: string | undefined): number {
  const [, number = "", suffix = ""] = /^([0-9.]+(?:e[+-]?[0-9]+)?)([numkMGTPEi]{0,2})$/i.exec(quantity ?? "") ?? [];
  const amount = Number(number) * (factors[suffix] ?? Number.NaN);
  return Number.isFinite(amount) ? amount : 0;
}

export interface Requests {
  readonly gpus: number;
  readonly cpus: number;
  readonly memoryMb: number;
}

/**
 * What the scheduler reckons for a pod: its containers with the sidecars beside them, or where that is more the largest
 * init container.
 */
export function requestsOf({ spec }: Pod): Requests {
  const { containers = [], initContainers = [] } = spec;
  const sidecars = initContainers.filter(({ restartPolicy }) => restartPolicy === "Always");
  const inits = initContainers.filter(({ restartPolicy }) => restartPolicy !== "Always");
  const requestsIn = (list: typeof containers) => list.map(({ resources }) => resources?.requests ?? {});
  const [together, alone] = [requestsIn([...containers, ...sidecars]), requestsIn(inits)];
  const most = (resource: string) =>
    Math.max(sumOf(together, resource), ...alone.map((requests) => amountOf(requests[resource])));
  return { gpus: most("nvidia.com/gpu"), cpus: most("cpu"), memoryMb: most("memory") / 1024 ** 2 };
}

function sumOf(all: readonly Quantities[], resource: string): number {
  return all.reduce((sum, requests) => sum + amountOf(requests[resource]), 0);
}
