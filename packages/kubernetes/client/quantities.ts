import { gpuResource, instanceTypes } from "#core/fleet.ts";
import type { Pod, PodContainer } from "../objects.ts";

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

/** Parses a quantity: `500m` is 0.5, `4Gi` is 4294967296. Returns 0 if it is invalid. */
export function parseQuantity(quantity: string | undefined): number {
  const [, number = "", suffix = ""] = /^([0-9.]+(?:e[+-]?[0-9]+)?)([numkMGTPEi]{0,2})$/i.exec(quantity ?? "") ?? [];
  const amount = Number(number) * (factors[suffix] ?? Number.NaN);
  return Number.isFinite(amount) ? amount : 0;
}

/** The resources that count GPUs of any type. */
const gpuResources = new Set(instanceTypes.map(gpuResource));

export interface Requests {
  readonly gpus: number;
  readonly cpus: number;
  readonly memoryMb: number;
}

/**
 * Returns the requests that the scheduler counts for a pod (k8s.io/component-helpers/resource, `PodRequests`). A node
 * offers GPUs by one resource, so those of all are added.
 */
export function sumRequests(pod: Pod): Requests {
  const most = (resource: string) => ofWhole(pod, resource) + parseQuantity(pod.spec.overhead?.[resource]);
  const gpus = [...gpuResources].reduce((sum, resource) => sum + most(resource), 0);
  return { gpus, cpus: most("cpu"), memoryMb: most("memory") / 1024 ** 2 };
}

function ofWhole({ spec }: Pod, resource: string): number {
  const whole = spec.resources?.requests?.[resource];
  return whole === undefined ? ofContainers(spec, resource) : parseQuantity(whole);
}

/** Returns the larger of: all containers and sidecars; an init container and the sidecars started before it. */
function ofContainers({ containers = [], initContainers = [] }: Pod["spec"], resource: string): number {
  let [sidecars, most] = [0, 0];
  for (const container of initContainers) {
    const ownRequest = getRequest(container, resource);
    if (container.restartPolicy === "Always") sidecars += ownRequest;
    else most = Math.max(most, sidecars + ownRequest);
  }
  const together = containers.reduce((sum, container) => sum + getRequest(container, resource), sidecars);
  return Math.max(together, most);
}

function getRequest({ resources }: PodContainer, resource: string): number {
  return parseQuantity(resources?.requests?.[resource]);
}
