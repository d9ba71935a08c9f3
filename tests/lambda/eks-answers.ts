import { ACCOUNT, REGION } from "../synthesis/cloud.ts";
import type { Resource } from "../synthesis/synthesize.ts";

/** The API server of a cluster, with its CA certificate (PEM). */
export interface Cluster {
  readonly url: string;
  readonly ca: string;
}

/**
 * Returns what EKS answers about a cluster and its synthesized add-ons, access entries and node groups, by path. All of
 * them are healthy.
 */
export function describeCluster(
  resources: readonly Resource[],
  name: string,
  { url, ca }: Cluster,
): Readonly<Record<string, object>> {
  const ofType = (kind: string) =>
    resources.filter(({ type, inputs }) => type === `aws:eks/${kind}` && (inputs.clusterName ?? inputs.name) === name);
  const root = `/clusters/${name}`;
  const [inputs] = ofType("cluster:Cluster").map((made) => made.inputs);
  const cluster = {
    name,
    arn: `arn:aws:eks:${REGION}:${ACCOUNT}:cluster/${name}`,
    status: "ACTIVE",
    version: inputs?.version,
    tags: tagsOfStage(name),
    endpoint: url,
    certificateAuthority: { data: Buffer.from(ca).toString("base64") },
    accessConfig: inputs?.accessConfig,
    deletionProtection: inputs?.deletionProtection,
    resourcesVpcConfig: inputs && { vpcId: "vpc-1", ...inputs.vpcConfig },
  };
  const entries = ofType("accessEntry:AccessEntry").map((made) => describeEntry(made, name));
  const groups = ofType("nodeGroup:NodeGroup").map(({ inputs: { nodeGroupName, ...rest } }) => ({
    nodegroupName: String(nodeGroupName),
    status: "ACTIVE",
    ...rest,
  }));
  return {
    [root]: { cluster },
    [`${root}/access-entries`]: { accessEntries: entries.map(({ principalArn }) => principalArn) },
    [`${root}/node-groups`]: { nodegroups: groups.map(({ nodegroupName }) => nodegroupName) },
    ...Object.fromEntries(
      entries.map((entry) => [`${root}/access-entries/${entry.principalArn}`, { accessEntry: entry }]),
    ),
    ...Object.fromEntries(groups.map((group) => [`${root}/node-groups/${group.nodegroupName}`, { nodegroup: group }])),
    ...Object.fromEntries(
      ofType("addon:Addon").map(({ inputs: addon }) => [
        `${root}/addons/${addon.addonName}`,
        { addon: { ...addon, status: "ACTIVE" } },
      ]),
    ),
  };
}

/** Pulumi appends a suffix to the names of roles. Synthesis does not. */
function describeEntry({ inputs }: Resource, cluster: string) {
  const { principalArn, kubernetesGroups } = inputs;
  return { principalArn: `${principalArn}-0a1b2c3`, kubernetesGroups, tags: tagsOfStage(cluster) };
}

/** SST tags all resources, by defaults of the provider that synthesis lacks. */
function tagsOfStage(cluster: string): Readonly<Record<string, string>> {
  return { "sst:app": "berth", "sst:stage": cluster.replace(/^berth-/, "") };
}
