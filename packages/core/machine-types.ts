import type { InstanceType } from "./fleet.ts";

/**
 * Parses MACHINE_TYPES, the machine types that a deployment adds, each as `<name>=<gpu_type>:<GPUs>:<vCPUs>:<GB of
 * memory>[:<resource of Kubernetes that counts the GPUs>]`. A value for which `findTypesProblem` finds a problem gives
 * useless types.
 */
export function parseMachineTypes(text: string): InstanceType[] {
  return splitEntries(text).map((entry) => {
    const [name = "", numbers = ""] = entry.split("=");
    const [pool = "", gpus, vcpus, memoryGb, resource] = numbers.split(":");
    const size = { gpus: Number(gpus), vcpus: Number(vcpus), memoryGb: Number(memoryGb) };
    return { name, pool, ...size, ...(resource && { resource }) };
  });
}

export function splitEntries(text: string): string[] {
  const entries = text.split(",").map((entry) => entry.trim());
  return entries.filter(Boolean);
}
