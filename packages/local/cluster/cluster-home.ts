import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeOnce } from "../home/secret-file.ts";

interface ClusterRecord {
  readonly server: string;
  readonly id: string;
  readonly deployment: string;
}

/**
 * Throws if the records of this home belong to a cluster. On this machine its runs and disks would look lost, and the
 * real ones would be orphaned.
 */
export function requireMachine(home: string): void {
  const kept = readCluster(home);
  if (kept) throw refusal(home, `on ${kept.server}`, ", or set COMPUTE=kubernetes");
}

/**
 * Returns the deployment name of this home, which is unique on its cluster. Throws if the home's records belong
 * elsewhere. `isUsed`: a stack ran in this home before. `id` identifies the cluster at any address.
 */
export function deploymentOn(home: string, cluster: Pick<ClusterRecord, "id" | "server">, isUsed: boolean): string {
  const before = readCluster(home);
  if (!before && isUsed) throw refusal(home, "on this machine", ", or leave COMPUTE away");
  const { id, server } = cluster;
  const deployment = `local-${randomBytes(6).toString("hex")}`;
  writeOnce(recordPath(home), () => JSON.stringify({ server, id, deployment } satisfies ClusterRecord));
  const kept = before ?? { server, id, deployment };
  if (kept.id === id) return kept.deployment;
  throw refusal(home, `on another cluster, or in a namespace that was recreated since (${kept.server})`, "");
}

function recordPath(home: string): string {
  return join(home, "cluster.json");
}

function readCluster(home: string): ClusterRecord | undefined {
  const path = recordPath(home);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as ClusterRecord) : undefined;
}

function refusal(home: string, where: string, otherwise: string): Error {
  return new Error(
    `The environments and disks in ${home} are ${where}.\nSet BERTH_HOME to another directory${otherwise}.`,
  );
}
