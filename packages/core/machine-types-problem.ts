import { builtInTypes, type InstanceType, OFFERED } from "./fleet.ts";
import { parseMachineTypes, splitEntries } from "./machine-types.ts";

const NAME = "[a-z0-9](?:[a-z0-9.-]{0,38}[a-z0-9])?";
const RESOURCE = "[a-z0-9][a-z0-9.-]{0,251}/[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?";
const FORM = new RegExp(`^${NAME}=${NAME}:\\d{1,2}:\\d{1,4}:\\d{1,5}(?::${RESOURCE})?$`);

/** Reads of all ledgers take 18 items of every type. */
const MOST_TYPES = 20;
const MOST_GPUS = 64;

const RULE = "must be types like p5en.48xlarge=h200-p5en:8:192:2048, separated by commas";

/**
 * Returns the first fault of a value of MACHINE_TYPES, worded to follow the setting's name. Undefined: the value is
 * valid.
 */
export function findTypesProblem(text: string): string | undefined {
  const bad = splitEntries(text).find((entry) => !FORM.test(entry));
  if (bad !== undefined) return `${RULE}: ${bad} is none`;
  const types = parseMachineTypes(text);
  for (const [at, type] of types.entries()) {
    const problem = findProblem(type, [...builtInTypes, ...types.slice(0, at)]);
    if (problem !== undefined) return `${RULE}: ${problem}`;
  }
  return types.length > MOST_TYPES ? `must be at most ${MOST_TYPES} types` : undefined;
}

function findProblem({ name, pool, gpus, vcpus, memoryGb, resource }: InstanceType, existing: readonly InstanceType[]) {
  if (existing.some((type) => type.name === name)) return `${name} is a type already`;
  const owner = existing.find((type) => type.pool === pool);
  if (owner) return `${pool} is the gpu_type of ${owner.name} already`;
  if (gpus > MOST_GPUS) return `${name} has more than ${MOST_GPUS} GPUs`;
  if (gpus === 0 && resource) return `${name} has no GPUs, so no resource counts them`;
  // Clients know machines without GPUs by their gpu_type.
  if (gpus === 0 && !pool.startsWith("cpu-")) return `the gpu_type of ${name} must begin with cpu-`;
  if (gpus > 0 && pool.startsWith("cpu")) return `the gpu_type of ${name} must not begin with cpu`;
  const least = Math.max(1, gpus);
  if (vcpus * OFFERED < least || memoryGb * OFFERED < least)
    return `${name} has less than a processor and 1 GB for each GPU, after a tenth for the machine itself`;
  return undefined;
}
