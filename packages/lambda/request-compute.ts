import type { Compute } from "#core/ports/compute.ts";
import { kubernetesCommands } from "#kubernetes/commands.ts";
import { eksPlace } from "./eks-cluster.ts";

/** Returns the driver for requests, which only run commands in existing runs, for small bundles. */
export const compute = (): Compute => ({
  ...kubernetesCommands(eksPlace()),
  apply: notForRequests,
  observe: notForRequests,
  begin: notForRequests,
  terminate: notForRequests,
  remove: notForRequests,
  extend: notForRequests,
  setAccess: notForRequests,
  resize: notForRequests,
  countWork: notForRequests,
  tell: notForRequests,
  postToPort: notForRequests,
  readLog: notForRequests,
  listRuns: notForRequests,
  listParts: notForRequests,
  changes: () => {
    throw new Error(onlyCommands);
  },
  listNodes: notForRequests,
  findSilence: notForRequests,
  getMachineState: notForRequests,
});

const onlyCommands = "A request only runs commands";

async function notForRequests(): Promise<never> {
  throw new Error(onlyCommands);
}
