/** Where runs of several machines have their hostfile. The variable `BERTH_HOSTFILE` has its path. */
export const hostfileDirectory = "/etc/berth";
export const hostfileName = "hostfile";

/** Returns a hostfile of Open MPI and DeepSpeed: a line for each machine, in the order of the ranks. */
export function formatHostfile(addresses: readonly string[], slots: number): string {
  return addresses.map((address) => `${address} slots=${slots}\n`).join("");
}
