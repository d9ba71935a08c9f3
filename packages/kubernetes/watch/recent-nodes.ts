import type { ApiClient } from "../client/api-client.ts";
import { inTime } from "../client/exchange.ts";
import { readNodes } from "../nodes/read-nodes.ts";
import { holds, type Node } from "../objects.ts";

/**
 * What is kept says only that a node answered then: its silence is seen 2 s later at most, and what is decided by that,
 * after 10 s of it at least, comes so much later and never sooner (docs/architecture/failures.md#lost-nodes).
 */
export const nodeKeptMs = 2_000;

export type ReadNodes = (names: readonly string[], deadline?: AbortSignal) => Promise<Node[]>;

/**
 * Reads nodes of these names, and those that answer at most every 2 s: of all that looks ask for, the node is what the runs
 * of one machine share. One that does not answer, or is not there, is asked for each time. Not for what is done by force.
 * What another one asks for is waited for until the own deadline: throws `ApiUnreachable` then.
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
    // A node object may have its list of images: what is old is not held.
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
  /** When it was asked for. */
  readonly at: number;
  /** The node once it answered; undefined: it is not there, not ready, or could not be asked for. */
  readonly ready: Promise<Node | undefined>;
}
