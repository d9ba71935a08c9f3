import type { Compute, MachineState } from "#core/ports/compute.ts";
import type { ApiClient } from "../client/api-client.ts";
import { inTime } from "../client/exchange.ts";
import { holds, type Node } from "../objects.ts";

export async function readNodes(client: ApiClient, names: readonly string[], deadline?: AbortSignal): Promise<Node[]> {
  const formatPath = (name: string) => `/api/v1/nodes/${encodeURIComponent(name)}`;
  const found = await Promise.all(names.map((name) => client.find<Node>(formatPath(name), deadline)));
  return found.flatMap((node) => node ?? []);
}

/** Lifetime of a cached node. Decisions take at least 10 s of silence, so the cache only delays them. */
export const nodeKeptMs = 2_000;

export type ReadNodes = (names: readonly string[], deadline?: AbortSignal) => Promise<Node[]>;

/**
 * Returns a cached reader of nodes, which reads missing and silent ones each time. Do not use it for forced removals.
 * Concurrent callers share a read; at its own deadline each throws `ApiUnreachable`.
 */
export function recentNodes(client: ApiClient, now: () => number): ReadNodes {
  const kept = new Map<string, NodeReading>();
  const isFresh = ({ at }: NodeReading) => now() - at >= 0 && now() - at < nodeKeptMs;
  const ask = async (name: string, deadline: AbortSignal | undefined): Promise<Node | undefined> => {
    const cached = kept.get(name);
    const found = cached && (await readyInTime(cached, name, deadline));
    if (found) return found;
    const reading = readNodes(client, [name], deadline);
    const ready = reading.then(
      (nodes) => nodes.find((node) => holds(node, "Ready")),
      () => undefined,
    );
    const newReading = { at: now(), ready };
    if (kept.get(name) === cached) kept.set(name, newReading);
    if (!(await ready) && kept.get(name) === newReading) kept.delete(name);
    return (await reading)[0];
  };
  return async (names, deadline) => {
    // Expired entries are dropped, because a node object with its list of images is large.
    for (const [name, reading] of kept) if (!isFresh(reading)) kept.delete(name);
    const found = await Promise.all(names.map((name) => ask(name, deadline)));
    return found.flatMap((node) => node ?? []);
  };
}

function readyInTime(
  { ready }: NodeReading,
  name: string,
  deadline: AbortSignal | undefined,
): Promise<Node | undefined> {
  return deadline ? inTime(ready, `GET /api/v1/nodes/${name}`, deadline) : ready;
}

interface NodeReading {
  readonly at: number;
  /** undefined: missing, silent, or unreadable. */
  readonly ready: Promise<Node | undefined>;
}

/** Returns a reader of the cloud provider's machine state, which answers `unknown` on an error. */
export function machineStates(getMachine: Compute["getMachineState"]): Compute["getMachineState"] {
  return async (node) => {
    try {
      return await getMachine(node);
    } catch {
      return "unknown" satisfies MachineState;
    }
  };
}
