import { tryNetwork } from "../network/network-probe.ts";
import type { Isolation, Network } from "../runs/records.ts";
import { trySandbox } from "./sandbox-probe.ts";

/** Probes the possible isolation in the background. Rejects on a timeout: weaker isolation would be unsafe. */
export function findIsolation(): Promise<Isolated> {
  const found = tryAll();
  // Without this, a rejection before the caller awaits it would count as unhandled.
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
