import { tryNetwork } from "../network/network-probe.ts";
import type { Isolation, Network } from "../runs/records.ts";
import { trySandbox } from "./sandbox-probe.ts";

/**
 * How environments can be kept apart here, tried in other processes at the same time. Rejects where that cannot be told
 * in time: nobody starts environments with less around them for it.
 */
export function findIsolation(): Promise<Isolated> {
  const found = tryAll();
  // Whoever started it may wait for it only later.
  found.catch(() => undefined);
  return found;
}

interface Isolated {
  readonly isolation: Isolation;
  readonly network: Network;
}

async function tryAll(): Promise<Isolated> {
  const [canSandbox, network] = await Promise.all([trySandbox(), tryNetwork()]);
  return canSandbox ? { isolation: "bubblewrap", network } : { isolation: "none", network: "shared" };
}
