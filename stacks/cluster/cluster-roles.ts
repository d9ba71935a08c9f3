import { podTrust } from "./pod-identity.ts";

type Text = $util.Input<string>;

interface Statement {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Action: readonly string[];
  readonly Resource: readonly Text[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, Text>>>>;
}

/** What pods of the cluster itself may do is given to their service accounts, and not to machines. */
export const accounts = {
  network: { namespace: "kube-system", serviceAccount: "aws-node" },
  disks: { namespace: "kube-system", serviceAccount: "ebs-csi-controller-sa" },
  autoscaler: { namespace: "kube-system", serviceAccount: "cluster-autoscaler" },
} as const;

export interface ClusterRoles {
  /** The role of the machines. */
  readonly machines: aws.iam.Role;
  /** Give EKS and EC2 the roles only with their rights. */
  readonly attached: readonly aws.iam.RolePolicyAttachment[];
  readonly network: aws.iam.Role;
  readonly disks: aws.iam.Role;
  readonly autoscaler: aws.iam.Role;
}

export interface ClusterArns {
  readonly partition: Text;
  readonly account: Text;
  /** ARN of the cluster, known before the cluster exists. */
  readonly cluster: Text;
  readonly clusterName: string;
  readonly nodeGroups: Text;
  readonly volumes: Text;
  readonly instances: Text;
  readonly autoscalingGroups: Text;
  readonly ebsKey: string | undefined;
}

/**
 * Creates the role of the control plane (EKS User Guide, "Amazon EKS cluster IAM role"). EKS takes it only for this cluster
 * (EKS User Guide, "Cross-service confused deputy prevention in Amazon EKS").
 */
export function makeControlPlaneRole({ partition, account, cluster }: ClusterArns, keep: $util.CustomResourceOptions) {
  const role = makeServiceRole("ClusterControlPlane", "eks", keep, {
    ArnLike: { "aws:SourceArn": cluster },
    StringEquals: { "aws:SourceAccount": account },
  });
  return { role, attached: attach(role, "ClusterControlPlane", ["AmazonEKSClusterPolicy"], partition, keep) };
}

/**
 * Creates the roles of machines and of pods. Machines join the cluster, give pods their roles, and pull images (EKS User
 * Guide, "Amazon EKS node IAM role"). The network plug-in has AWS's policy (EKS User Guide, "Configure Amazon VPC CNI
 * plugin to use Pod Identity").
 */
export function makeClusterRoles(arns: ClusterArns, keep: $util.CustomResourceOptions): ClusterRoles {
  const { partition, cluster } = arns;
  const forPods = (name: string, account: keyof typeof accounts, statements: readonly Statement[]) => {
    const policy = $util.jsonStringify({ Version: "2012-10-17", Statement: statements });
    const inlinePolicies = statements.length > 0 ? [{ name: "pods", policy }] : [];
    return new aws.iam.Role(name, { assumeRolePolicy: podTrust(cluster, accounts[account]), inlinePolicies }, keep);
  };
  const machines = makeServiceRole("ClusterMachines", "ec2", keep);
  const network = forPods("ClusterNetwork", "network", []);
  // A machine of Amazon Linux reads itself from EC2 before it joins, which the minimal policy does not allow.
  const ofMachines = ["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"];
  return {
    machines,
    network,
    disks: forPods("ClusterDisks", "disks", driverStatements(arns)),
    autoscaler: forPods("ClusterAutoscaler", "autoscaler", autoscalerStatements(arns)),
    attached: [
      ...attach(machines, "ClusterMachines", ofMachines, partition, keep),
      ...attach(network, "ClusterNetwork", ["AmazonEKS_CNI_Policy"], partition, keep),
    ],
  };
}

function makeServiceRole(
  name: string,
  service: string,
  keep: $util.CustomResourceOptions,
  Condition?: Statement["Condition"],
): aws.iam.Role {
  const principal = { Service: `${service}.amazonaws.com` };
  const statement = {
    Effect: "Allow",
    Principal: principal,
    Action: ["sts:AssumeRole"],
    ...(Condition && { Condition }),
  };
  const assumeRolePolicy = $util.jsonStringify({ Version: "2012-10-17", Statement: [statement] });
  return new aws.iam.Role(name, { assumeRolePolicy }, keep);
}

function attach(
  role: aws.iam.Role,
  name: string,
  policies: readonly string[],
  partition: Text,
  keep: $util.CustomResourceOptions,
): aws.iam.RolePolicyAttachment[] {
  return policies.map((policy) => {
    const policyArn = $util.interpolate`arn:${partition}:iam::aws:policy/${policy}`;
    return new aws.iam.RolePolicyAttachment(`${name}-${policy}`, { role: role.name, policyArn }, keep);
  });
}

/** Tag of the machines to which the EBS CSI driver attaches disks. Its value is the cluster's name. */
export const MACHINE_TAG = "berth:cluster";

/** Returns the rights of the EBS CSI driver: it attaches Berth's volumes to the cluster's machines, and functions do the rest. */
function driverStatements(arns: ClusterArns): Statement[] {
  const { volumes, instances, clusterName, ebsKey } = arns;
  const attachments = ["ec2:AttachVolume", "ec2:DetachVolume"];
  const reads = ["AvailabilityZones", "Instances", "Tags", "Volumes", "VolumesModifications", "VolumeStatus"];
  return [
    allow(
      "Look",
      reads.map((noun) => `ec2:Describe${noun}`),
      ["*"],
    ),
    allow("DisksOfBerth", attachments, [volumes], { Null: { "aws:ResourceTag/berth:deployment": "false" } }),
    allow("MachinesOfTheCluster", attachments, [instances], {
      StringEquals: { [`aws:ResourceTag/${MACHINE_TAG}`]: clusterName },
    }),
    ...(ebsKey === undefined ? [] : keyStatements(ebsKey)),
  ];
}

/** The EBS CSI driver's own guide, "install.md", encryption with a customer managed key. */
function keyStatements(ebsKey: string): Statement[] {
  const grants = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"];
  const uses = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"];
  return [
    allow("GrantKeyOfDisks", grants, [ebsKey], { Bool: { "kms:GrantIsForAWSResource": "true" } }),
    allow("UseKeyOfDisks", uses, [ebsKey]),
  ];
}

/**
 * Returns the rights of the Cluster Autoscaler (its README for AWS, "Full Cluster Autoscaler Features Policy"). It may
 * change only the groups that EKS tagged for the autoscaler of this cluster.
 */
function autoscalerStatements({ clusterName, nodeGroups, autoscalingGroups }: ClusterArns): Statement[] {
  const groups = ["AutoScalingGroups", "AutoScalingInstances", "LaunchConfigurations", "ScalingActivities", "Tags"];
  const machines = ["Images", "InstanceTypes", "LaunchTemplateVersions"];
  const reads = [
    ...groups.map((noun) => `autoscaling:Describe${noun}`),
    ...machines.map((noun) => `ec2:Describe${noun}`),
    "ec2:GetInstanceTypesFromInstanceRequirements",
  ];
  const changes = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"];
  return [
    allow("Look", reads, ["*"]),
    // Labels and taints of a group without machines.
    allow("NodeGroups", ["eks:DescribeNodegroup"], [nodeGroups]),
    allow("Scale", changes, [autoscalingGroups], {
      StringEquals: { [`aws:ResourceTag/k8s.io/cluster-autoscaler/${clusterName}`]: "owned" },
    }),
  ];
}

function allow(
  Sid: string,
  Action: readonly string[],
  Resource: readonly Text[],
  Condition?: Statement["Condition"],
): Statement {
  return { Sid, Effect: "Allow", Action, Resource, ...(Condition && { Condition }) };
}
