import type { FunctionNetwork } from "../compute/functions.ts";
import type { Stage } from "../stage.ts";
import { makeFirstAddOns, makeOtherAddOns } from "./add-ons.ts";
import { accounts, type ClusterArns, makeClusterRoles, makeControlPlaneRole } from "./cluster-roles.ts";
import { type MachineParts, makeMachines, makeSystemMachines } from "./machines.ts";
import { type ClusterNetwork, makeNetwork } from "./network.ts";
import { KUBERNETES_VERSION, type NewCluster } from "./settings.ts";
import type { StageCluster } from "./stage-cluster.ts";

type Text = $util.Input<string>;

/**
 * Creates the cluster of a stage with its network, roles, add-ons and machines. Pulumi and EKS refuse to delete any of
 * it until EKS_PROTECT=0 is deployed: its end is the end of all jobs.
 */
export function makeCluster(stage: Stage, wanted: NewCluster, key: aws.kms.Key): StageCluster {
  const keep = { protect: wanted.isProtected };
  const name = stage.eksCluster;
  const network = makeNetwork(wanted, { clusterName: name, natInEachZone: stage.isProduction }, keep);
  const arns = buildArns(name, stage.ebsKey);
  const controlPlane = makeControlPlane(stage, wanted, { network, key, keep, arns });
  const roles = makeClusterRoles(arns, keep);
  const { cluster } = controlPlane;
  const addOns = { cluster, version: KUBERNETES_VERSION, roles, keep };
  const machines: MachineParts = {
    ...addOns,
    clusterName: name,
    network,
    role: roles.machines.arn,
    after: [...network.ready, ...roles.attached, ...makeFirstAddOns(addOns)],
  };
  makeOtherAddOns(addOns, makeSystemMachines(machines));
  makeMachines(wanted.groups, machines);
  // The autoscaler is no add-on of EKS: deploy/kubernetes has its objects, and this its role.
  const autoscaler = { ...accounts.autoscaler, clusterName: cluster.name, roleArn: roles.autoscaler.arn };
  new aws.eks.PodIdentityAssociation("ClusterAutoscaler", autoscaler, keep);
  const ofFunctions = wanted.isPrivate ? admitFunctions(cluster, network, keep) : undefined;
  return {
    name: cluster.name,
    address: { EKS_ENDPOINT: cluster.endpoint, EKS_CA: cluster.certificateAuthority.apply(({ data }) => data ?? "") },
    network: ofFunctions,
    settingsForOthers: formatSettings(stage, ofFunctions),
  };
}

/**
 * Functions of another stage run in the same subnets, with the security group that the API server admits. Its jobs get the
 * same machines, and the driver of disks may use only this stage's key.
 */
function formatSettings(stage: Stage, network: FunctionNetwork | undefined): Text {
  const { MACHINE_TYPES, NEW_MACHINE_RESOURCES } = stage.settings;
  const values = { MACHINE_TYPES, NEW_MACHINE_RESOURCES, EBS_KMS_KEY_ID: stage.ebsKey };
  const shared = Object.entries(values).flatMap(([key, value]) =>
    value ? [`${key}=${value.replaceAll(/\s/g, "")}`] : [],
  );
  const name = `EKS_CLUSTER=${stage.eksCluster}`;
  if (!network) return [name, ...shared].join(" ");
  return $util.all([network.privateSubnets, network.securityGroups]).apply(([subnets, groups]) => {
    const place = [`VPC_SUBNETS=${subnets.join()}`, `VPC_SECURITY_GROUPS=${groups.join()}`];
    return [name, "EKS_ACCESS=private", ...place, ...shared].join(" ");
  });
}

interface ControlPlaneParts {
  readonly network: ClusterNetwork;
  readonly key: aws.kms.Key;
  readonly keep: { readonly protect: boolean };
  readonly arns: ClusterArns;
}

/**
 * Creates the control plane. The identity that deploys becomes an administrator, for `npm run cluster:apply`; the stage's
 * roles get their access entries in identities.ts.
 */
function makeControlPlane(stage: Stage, { isPrivate }: NewCluster, parts: ControlPlaneParts) {
  const { network, key, keep, arns } = parts;
  const { role, attached } = makeControlPlaneRole(arns, keep);
  // EKS would create the group itself, and keep its lines for ever.
  const logs = new aws.cloudwatch.LogGroup(
    "ClusterLogs",
    { name: `/aws/eks/${stage.eksCluster}/cluster`, retentionInDays: stage.isProduction ? 90 : 7 },
    keep,
  );
  const cluster = new aws.eks.Cluster(
    "Cluster",
    {
      name: stage.eksCluster,
      version: KUBERNETES_VERSION,
      roleArn: role.arn,
      accessConfig: { authenticationMode: "API", bootstrapClusterCreatorAdminPermissions: true },
      // AWS's add-ons take their place (add-ons.ts).
      bootstrapSelfManagedAddons: false,
      // Extended support costs six times as much. EKS upgrades a cluster without it at the end of standard support.
      upgradePolicy: { supportType: "STANDARD" },
      vpcConfig: {
        subnetIds: network.subnetIds,
        endpointPrivateAccess: true,
        // Functions outside of the network have no fixed address to admit.
        endpointPublicAccess: !isPrivate,
        ...(!isPrivate && { publicAccessCidrs: ["0.0.0.0/0"] }),
      },
      encryptionConfig: { provider: { keyArn: key.arn }, resources: ["secrets"] },
      enabledClusterLogTypes: ["audit", "authenticator"],
      deletionProtection: keep.protect,
    },
    // EKS keeps the zones of the creation (EKS User Guide, "View Amazon EKS networking requirements for VPC and subnets").
    // Machines in a zone that is added later reach the control plane by the VPC.
    { ...keep, dependsOn: [logs, ...attached], ignoreChanges: ["vpcConfig.subnetIds"] },
  );
  return { cluster };
}

function buildArns(clusterName: string, ebsKey: string | undefined): ClusterArns {
  const region = aws.getRegionOutput().name;
  const account = aws.getCallerIdentityOutput().accountId;
  const partition = aws.getPartitionOutput().partition;
  const arn = (service: string, rest: string) =>
    $util.interpolate`arn:${partition}:${service}:${region}:${account}:${rest}`;
  return {
    partition,
    account,
    clusterName,
    ebsKey,
    cluster: arn("eks", `cluster/${clusterName}`),
    nodeGroups: arn("eks", `nodegroup/${clusterName}/*/*`),
    volumes: arn("ec2", "volume/*"),
    instances: arn("ec2", "instance/*"),
    autoscalingGroups: arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*"),
  };
}

/** Lets functions in the private subnets reach the API server, and nothing else of the cluster. */
function admitFunctions(
  cluster: aws.eks.Cluster,
  network: ClusterNetwork,
  keep: $util.CustomResourceOptions,
): FunctionNetwork {
  const group = new aws.ec2.SecurityGroup(
    "ClusterFunctions",
    { vpcId: network.vpcId, description: "Functions of Berth that use the cluster" },
    keep,
  );
  const https = { ipProtocol: "tcp", fromPort: 443, toPort: 443 };
  // GitHub, and services of AWS.
  new aws.vpc.SecurityGroupEgressRule(
    "ClusterFunctions",
    { ...https, securityGroupId: group.id, cidrIpv4: "0.0.0.0/0" },
    keep,
  );
  const securityGroupId = cluster.vpcConfig.apply(({ clusterSecurityGroupId }) => clusterSecurityGroupId);
  new aws.vpc.SecurityGroupIngressRule(
    "ClusterFunctions",
    { ...https, securityGroupId, referencedSecurityGroupId: group.id },
    keep,
  );
  return { privateSubnets: network.subnetIds, securityGroups: [group.id] };
}
