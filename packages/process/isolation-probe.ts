import { tryNetwork } from "./network-probe.ts";
import type { Isolation, Network } from "./records.ts";
import { trySandbox } from "./sandbox-probe.ts";

/** How environments can be kept apart here, tried in other processes at the same time. */
export async function findIsolation(): Promise<{ readonly isolation: Isolation; readonly network: Network }> {
  const [canSandbox, network] = await Promise.all([trySandbox(), tryNetwork()]);
  return canSandbox ? { isolation: "bubblewrap", network } : { isolation: "none", network: "shared" };
}
