import type { Addon } from "@aws-sdk/client-eks";
import { parse } from "yaml";
import type { ClusterReport, Finding, LeftOut } from "#core/ports/cluster-report.ts";
import type { addonNames } from "./answers.ts";
import { type ClusterNeeds, describeIssue, toMake } from "./findings.ts";

type AddonName = (typeof addonNames)[number];

/** `isAuto`: the cluster is in EKS Auto Mode, which has its own network and Pod Identity, but not this driver of EBS. */
export function checkAddons(addons: readonly Addon[], needs: ClusterNeeds, isAuto: boolean): ClusterReport {
  const find = (name: AddonName) => addons.find(({ addonName }) => addonName === name);
  const [driver, network, agent] = [find("aws-ebs-csi-driver"), find("vpc-cni"), find("eks-pod-identity-agent")];
  const { cluster, hasGateway, isOwn } = needs;
  const ebs = "the EBS CSI driver attaches the disks of jobs";
  return {
    findings: [
      ...addons.flatMap((addon) => findHealth(addon, cluster)),
      ...(driver ? [] : [absent("aws-ebs-csi-driver", ebs, needs)]),
      ...(isAuto ? [] : findPolicies(network, needs)),
      ...(isAuto || !(hasGateway || isOwn) || agent
        ? []
        : [absent("eks-pod-identity-agent", `it gives ${isOwn ? "add-ons" : "the gateway's pods"} their role`, needs)]),
      ...(isOwn ? [network, driver].flatMap((addon) => findNoRole(addon, needs)) : []),
    ],
    leftOut: [...(isAuto ? [policiesOfAutoMode] : []), ...(driver && !isOwn ? findDriverRole(driver) : [])],
  };
}

/** EKS User Guide, "Use Network Policies with EKS Auto Mode". */
const policiesOfAutoMode: LeftOut = {
  what: "network policies",
  why: "EKS does not say whether Auto Mode enforces them: look for enable-network-policy-controller in kube-system's ConfigMap amazon-vpc-cni",
};

function absent(name: AddonName, why: string, needs: ClusterNeeds): Finding {
  const create = `aws eks create-addon --cluster-name ${needs.cluster} --addon-name ${name}`;
  return {
    what: `add-on ${name}`,
    missing: `EKS manages none in this cluster, and ${why}`,
    todo: toMake(needs, `${create}, unless you installed it otherwise`),
  };
}

function findHealth({ addonName = "", status, health }: Addon, cluster: string): Finding[] {
  const issues = (health?.issues ?? []).map((issue) => describeIssue(issue));
  if (issues.length === 0 && (status === "ACTIVE" || status === "UPDATING")) return [];
  const missing = [`it is ${status}`, ...issues].join("; ");
  const todo = `aws eks describe-addon --cluster-name ${cluster} --addon-name ${addonName} has the details`;
  return [{ what: `add-on ${addonName}`, missing, todo }];
}

/** EKS User Guide, "Limit Pod traffic with Kubernetes network policies": without this setting nothing enforces them. */
function findPolicies(network: Addon | undefined, needs: ClusterNeeds): Finding[] {
  const values = `--configuration-values '{"enableNetworkPolicy":"true"}'`;
  const place = `--cluster-name ${needs.cluster} --addon-name vpc-cni`;
  const what = "network policies";
  if (!network) {
    const missing = "EKS manages no add-on vpc-cni here, so nothing shows that jobs are kept apart";
    const create = `aws eks create-addon ${place} ${values}, unless Calico or Cilium enforces them`;
    return [{ what, missing, todo: toMake(needs, create) }];
  }
  if (enforcesPolicies(network.configurationValues)) return [];
  const missing = "the add-on vpc-cni does not enforce them, so nothing keeps jobs apart";
  // An update replaces all configuration values.
  const kept = network.configurationValues ? ", with the present values beside it" : "";
  const update = `aws eks update-addon ${place} ${values}${kept}, unless Calico or Cilium does`;
  return [{ what, missing, todo: toMake(needs, update) }];
}

/** Configuration values are JSON or YAML, and the add-on's schema has the flag as a string. */
function enforcesPolicies(configurationValues = ""): boolean {
  try {
    const values: unknown = parse(configurationValues);
    if (typeof values !== "object" || values === null || !("enableNetworkPolicy" in values)) return false;
    return String(values.enableNetworkPolicy) === "true";
  } catch {
    return false;
  }
}

function hasRole({ serviceAccountRoleArn, podIdentityAssociations = [] }: Addon): boolean {
  return Boolean(serviceAccountRoleArn) || podIdentityAssociations.length > 0;
}

/** Machines of a stage's own cluster have no rights for the work of add-ons. */
function findNoRole(addon: Addon | undefined, needs: ClusterNeeds): Finding[] {
  if (!addon || hasRole(addon)) return [];
  const missing = "it has no role, so AWS refuses its calls";
  return [{ what: `add-on ${addon.addonName}`, missing, todo: toMake(needs, "") }];
}

/** If the driver has no role, it uses the permissions of its node. */
function findDriverRole(driver: Addon): LeftOut[] {
  if (hasRole(driver)) return [];
  const why = "it has no role of its own, so its nodes' role must have the rights that the driver needs";
  return [{ what: "rights of the EBS CSI driver", why }];
}
