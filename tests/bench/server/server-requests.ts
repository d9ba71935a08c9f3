import type { Cluster } from "../../cluster/cluster.ts";

/** How many requests of a kind the API server has answered, by whoever asked: `LIST pods`. */
export type ServerRequests = ReadonlyMap<string, number>;

/** Reads the server's own count; throws where it does not say it. */
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

/** Of Prometheus's text format; "" where there is none. */
function labelIn(labels: string, name: string): string {
  return new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? "";
}
