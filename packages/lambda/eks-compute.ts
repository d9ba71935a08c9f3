import type { Compute } from "#core/ports/compute.ts";
import { kubernetesCommands } from "#kubernetes/commands.ts";
import { eksPlace } from "./eks-place.ts";

/** For requests, which run commands in what is there: of the driver their bundles hold no more than that. */
export const compute = (): Compute => ({
  ...kubernetesCommands(eksPlace()),
  refusesSecondStart: false,
  apply: forWorkers,
  observe: forWorkers,
  begin: forWorkers,
  remove: forWorkers,
  extend: forWorkers,
  setAccess: forWorkers,
  resize: forWorkers,
  postToPort: forWorkers,
  readLog: forWorkers,
  listRuns: forWorkers,
  listParts: forWorkers,
  changes: () => {
    throw new Error(onlyCommands);
  },
  listNodes: forWorkers,
  silenceOf: forWorkers,
  machineOf: forWorkers,
});

const onlyCommands = "A request only runs commands";

async function forWorkers(): Promise<never> {
  throw new Error(onlyCommands);
}
