import type { ApiClient } from "./api-client.ts";
import { holds, type Node } from "./objects.ts";
import { readNodes } from "./read-nodes.ts";

/**
 * What is kept says only that a node answered then: its silence is seen 2 s later at most, and what is decided by that,
 * after 10 s of it at least, comes so much later and never sooner (docs/architecture.md#not-seen-is-not-gone).
 */
const keptMs = 2_000;

export type ReadNodes = (names: readonly string[], deadline?: AbortSignal) => Promise<Node[]>;

/**
 * Reads nodes of these names, and those that answer at most every 2 s: of all that looks ask for, the node is what the runs
 * of one machine share. One that does not answer, or is not there, is asked for each time. Not for what is done by force.
 */
export function recentNodes(client: ApiClient, now: () => number): ReadNodes {
  const kept = new Map<string, { readonly at: number; readonly node: Node }>();
  const isFresh = (at: number) => now() - at >= 0 && now() - at < keptMs;
  return async (names, deadline) => {
    // A node object may have its list of images: what is old is not held.
    for (const [name, { at }] of kept) if (!isFresh(at)) kept.delete(name);
    const known = names.flatMap((name) => kept.get(name)?.node ?? []);
    const at = now();
    const read = await readNodes(
      client,
      names.filter((name) => !kept.has(name)),
      deadline,
    );
    for (const node of read.filter((one) => holds(one, "Ready"))) kept.set(node.metadata.name, { at, node });
    return [...known, ...read];
  };
}
