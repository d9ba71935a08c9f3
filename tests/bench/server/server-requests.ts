import type { Cluster } from "../../cluster/cluster.ts";

/** Requests that the API server answered, by kind: `LIST pods`. Counts all clients. */
export type ServerRequests = ReadonlyMap<string, number>;

/** Reads the API server's metrics. Throws if they count no requests. */
export async function countRequests({ admin }: Cluster): Promise<ServerRequests> {
  const { body } = await admin.get<string>("/metrics");
  const counts = new Map<string, number>();
  for (const line of body.split("\n")) {
    const [, labels = "", value] = /^apiserver_request_total\{(.*)\} (\S+)$/.exec(line) ?? [];
    const [verb, resource, subresource] = ["verb", "resource", "subresource"].map((name) => labelIn(labels, name));
    const kind = `${verb} ${resource}${subresource ? `/${subresource}` : ""}`;
    if (value !== undefined) counts.set(kind, (counts.get(kind) ?? 0) + Number(value));
  }
  if (counts.size === 0) throw new Error("The API server counts no requests");
  return counts;
}

function labelIn(labels: string, name: string): string {
  return new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? "";
}
