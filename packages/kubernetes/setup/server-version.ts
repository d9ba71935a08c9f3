import type { ClusterReport } from "#core/ports/cluster-report.ts";
import type { ApiClient } from "../client/api-client.ts";

/** A cluster that a stage makes. */
export interface OwnCluster {
  readonly stage: string;
  /** Minor version of Kubernetes that this version of Berth deploys, such as 1.35. */
  readonly version: string;
}

/** The first version with a stable ValidatingAdmissionPolicy, which deploy/kubernetes needs. */
export const OLDEST_VERSION = "1.30";

/** Reports a server that is too old for Berth, or that has another version than Berth deploys. */
export async function checkVersion(
  client: Pick<ApiClient, "get">,
  own: OwnCluster | undefined,
): Promise<ClusterReport> {
  const { major, minor } = await client.get<{ major?: unknown; minor?: unknown }>("/version");
  // EKS answers "35+".
  const version = `${major}.${String(minor).replace(/\D+$/, "")}`;
  if (!/^\d+\.\d+$/.test(version)) {
    return { findings: [], leftOut: [{ what: "version of Kubernetes", why: "the API server gave none" }] };
  }
  if (own ? version === own.version : !isOlder(version, OLDEST_VERSION)) return { findings: [], leftOut: [] };
  const [missing, todo] = own ? describeOther(version, own) : describeOld(version);
  return { findings: [{ what: "version of Kubernetes", missing, todo }], leftOut: [] };
}

function isOlder(version: string, than: string): boolean {
  const [left = [], right = []] = [version, than].map((each) => each.split(".").map(Number));
  const [major = 0, minor = 0] = left;
  const [otherMajor = 0, otherMinor = 0] = right;
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}

function describeOld(version: string): [missing: string, todo: string] {
  return [
    `the cluster has ${version}, and Berth needs ${OLDEST_VERSION} or newer`,
    "Upgrade it, one minor version at a time: docs/deploy.md#other-clusters",
  ];
}

function describeOther(version: string, own: OwnCluster): [missing: string, todo: string] {
  const missing = `the cluster has ${version}, and this version of Berth deploys ${own.version}`;
  const guide = "docs/own-cluster.md#change-upgrade-remove";
  if (isOlder(version, own.version)) return [missing, `npm run deploy -- --stage ${own.stage} upgrades it: ${guide}`];
  return [missing, `Deploy a newer version of Berth, whose autoscaler and add-ons are those of ${version}: ${guide}`];
}
