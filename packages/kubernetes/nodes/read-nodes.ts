import type { ApiClient } from "../client/api-client.ts";
import type { Node } from "../objects.ts";

export async function readNodes(client: ApiClient, names: readonly string[], deadline?: AbortSignal): Promise<Node[]> {
  const formatPath = (name: string) => `/api/v1/nodes/${encodeURIComponent(name)}`;
  const found = await Promise.all(names.map((name) => client.find<Node>(formatPath(name), deadline)));
  return found.flatMap((node) => node ?? []);
}
