import type { AccessEntry, Cluster } from "@aws-sdk/client-eks";
import type { ClusterReport, Finding } from "#core/ports/cluster-report.ts";
import { type ClusterAnswers, readRoleName } from "./answers.ts";
import { checkAddons } from "./check-addons.ts";
import { checkNodeGroups } from "./check-node-groups.ts";
import { type ClusterNeeds, checkAnswer, describeIssue, joinReports, toMake } from "./findings.ts";

/** Returns what a cluster lacks for a stage, by EKS's answers, and which checks these do not allow. */
export function checkCluster(answers: ClusterAnswers, needs: ClusterNeeds): ClusterReport {
  const isAuto = "value" in answers.cluster && answers.cluster.value?.computeConfig?.enabled === true;
  return joinReports([
    checkAnswer("the cluster", answers.cluster, (cluster) => ({
      findings: findInCluster(cluster, needs),
      leftOut: [],
    })),
    checkAnswer("access entries", answers.accessEntries, (entries) => checkAccessEntries(entries, needs)),
    checkAnswer("add-ons", answers.addons, (addons) => checkAddons(addons, needs, isAuto)),
    checkAnswer("node groups", answers.nodeGroups, (groups) => checkNodeGroups(groups, needs, isAuto)),
  ]);
}

function findInCluster(cluster: Cluster | undefined, needs: ClusterNeeds): Finding[] {
  const what = `cluster ${needs.cluster}`;
  if (!cluster) {
    const todo = "Set EKS_CLUSTER to a name that `aws eks list-clusters` prints, and check region and account";
    return [{ what, missing: "EKS has no cluster of this name in this region and account", todo }];
  }
  const issues = (cluster.health?.issues ?? []).map((issue) => ({
    what,
    missing: `EKS reports ${describeIssue(issue)}`,
    todo: 'Mend it: EKS User Guide, "Cluster health FAQs and error codes with resolution paths"',
  }));
  return [
    ...findAccount(cluster, needs),
    ...findStatus(cluster, what),
    ...issues,
    ...findAuthentication(cluster, needs),
    ...findEndpoint(cluster, needs),
  ];
}

function findAccount({ arn = "" }: Cluster, { cluster, account }: ClusterNeeds): Finding[] {
  const [, , , , owner] = arn.split(":");
  if (account === undefined || owner === account || !owner) return [];
  const missing = `it is in account ${owner}, and the stage is deployed to ${account}`;
  return [{ what: `cluster ${cluster}`, missing, todo: "Use credentials of DEPLOY_ACCOUNT, or change it" }];
}

function findStatus({ status }: Cluster, what: string): Finding[] {
  if (status === "ACTIVE" || status === "UPDATING") return [];
  const missing = `it is ${status}, and functions reach only a cluster that is ACTIVE`;
  return [{ what, missing, todo: "Deploy once `aws eks wait cluster-active` returns, or make the cluster anew" }];
}

/** The mode can only change towards API (EKS User Guide, "Change authentication mode to use access entries"). */
function findAuthentication({ accessConfig }: Cluster, needs: ClusterNeeds): Finding[] {
  const mode = accessConfig?.authenticationMode ?? "CONFIG_MAP";
  if (mode !== "CONFIG_MAP") return [];
  const missing = `${mode} admits no access entries, by which the stage's roles reach the cluster`;
  const change = "--access-config authenticationMode=API_AND_CONFIG_MAP";
  const todo = toMake(needs, `aws eks update-cluster-config --name ${needs.cluster} ${change}`);
  return [{ what: "authentication mode", missing, todo }];
}

function findEndpoint({ resourcesVpcConfig = {} }: Cluster, { isPrivate }: ClusterNeeds): Finding[] {
  const what = "endpoint of the API server";
  const { endpointPublicAccess, endpointPrivateAccess, publicAccessCidrs = [] } = resourcesVpcConfig;
  if (isPrivate) {
    if (endpointPrivateAccess !== false) return [];
    const missing = "EKS_ACCESS=private reaches it in its network, where it has no private endpoint";
    return [{ what, missing, todo: "Enable the cluster's private endpoint, or remove EKS_ACCESS=private" }];
  }
  const todo = "Set EKS_ACCESS=private with VPC_SUBNETS and VPC_SECURITY_GROUPS";
  if (endpointPublicAccess === false) {
    return [{ what, missing: "it has no public endpoint, which functions use without EKS_ACCESS=private", todo }];
  }
  if (publicAccessCidrs.length === 0 || publicAccessCidrs.includes("0.0.0.0/0")) return [];
  const missing = `it admits only ${publicAccessCidrs.slice(0, 5).join(", ")}, and functions have no fixed address`;
  return [{ what, missing, todo: `${todo}, or admit 0.0.0.0/0` }];
}

/**
 * SST tags all resources of a stage with its name. Without an entry of the stage, it was not deployed yet: the deployment
 * creates the entries.
 */
function checkAccessEntries(entries: readonly AccessEntry[], { stage, roles }: ClusterNeeds): ClusterReport {
  const own = entries.filter(({ tags }) => tags?.["sst:app"] === "berth" && tags["sst:stage"] === stage);
  if (own.length === 0) {
    const why = `no role of stage ${stage} has one yet; its first deployment creates them`;
    return { findings: [], leftOut: [{ what: "access entries", why }] };
  }
  const findings = roles.flatMap(({ name, group }): Finding[] => {
    const ofRole = own.filter(({ principalArn = "" }) => readRoleName(principalArn) === name);
    if (ofRole.some(({ kubernetesGroups = [] }) => kubernetesGroups.includes(group))) return [];
    const missing = ofRole.length === 0 ? "it has none" : `its groups do not include ${group}`;
    const refresh = `\`npm run sst -- refresh --stage ${stage}\``;
    const todo = `Deploy: that creates the entry of a new role. If the entry was changed by hand, run ${refresh} before`;
    return [{ what: `access entry of role ${name}`, missing, todo }];
  });
  return { findings, leftOut: [] };
}
