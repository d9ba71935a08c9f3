import type { ApiClient } from "./api-client.ts";
import type { Node } from "./objects.ts";

/** The nodes of these names that are there. */
export async function readNodes(client: ApiClient, names: readonly string[]): Promise<Node[]> {
  const found = await Promise.all(names.map((name) => client.find<Node>(`/api/v1/nodes/${encodeURIComponent(name)}`)));
  return found.flatMap((node) => node ?? []);
}
