import { type Check, different, differentInOrder, ofType } from "./checks.ts";
import { ACCOUNT, REGION } from "./cloud.ts";
import { differentFields } from "./cluster-checks.ts";
import { efaGroups } from "./efa-checks.ts";
import { newClusterName as cluster, newClusterSettings } from "./new-cluster-settings.ts";
import type { Resource } from "./synthesize.ts";

const GROUP = "aws:eks/nodeGroup:NodeGroup";
const taint = [{ key: "nvidia.com/gpu", value: "true", effect: "NO_SCHEDULE" }];

/** By name: subnets, AMI, how it is bought, types, minimum, maximum, and the label of GPUs. */
const groups: Readonly<Record<string, readonly unknown[]>> = {
  system: [["a", "b"], "AL2023_x86_64_STANDARD", "ON_DEMAND", ["m7i.large"], 2, 3, undefined],
  "h100-us-east-1a": [["a"], "BOTTLEROCKET_x86_64_NVIDIA", "ON_DEMAND", ["p5.48xlarge"], 0, 1, "h100"],
  "h100-us-east-1b": [["b"], "BOTTLEROCKET_x86_64_NVIDIA", "ON_DEMAND", ["p5.48xlarge"], 0, 1, "h100"],
  "a10g-us-east-1a": [["a"], "BOTTLEROCKET_x86_64_NVIDIA", "SPOT", ["g5.12xlarge"], 1, 3, "a10g"],
  "a10g-us-east-1b": [["b"], "BOTTLEROCKET_x86_64_NVIDIA", "SPOT", ["g5.12xlarge"], 1, 3, "a10g"],
  "block-us-east-1b": [["b"], "BOTTLEROCKET_x86_64_NVIDIA", "CAPACITY_BLOCK", undefined, 0, 4, "h200"],
  "a100-us-east-1a": [["a"], "AL2023_x86_64_NVIDIA", "ON_DEMAND", ["p4d.24xlarge"], 0, 1, "a100"],
  "arm-us-east-1b": [["b"], "AL2023_ARM_64_STANDARD", "ON_DEMAND", ["c7g.8xlarge"], 0, 5, undefined],
};

const reserved = (capacityReservationId: string) => ({ capacityReservationTarget: { capacityReservationId } });
/** By name: device and size of the disk, and what a reservation adds. */
const templates: Readonly<Record<string, readonly [device: string, gb: number, more?: Resource["inputs"]]>> = {
  system: ["/dev/xvda", 50],
  "h100-us-east-1a": ["/dev/xvdb", 1000],
  "h100-us-east-1b": ["/dev/xvdb", 1000],
  a10g: ["/dev/xvdb", 200],
  "block-us-east-1b": [
    "/dev/xvdb",
    200,
    {
      instanceType: "p5e.48xlarge",
      instanceMarketOptions: { marketType: "capacity-block" },
      capacityReservationSpecification: reserved("cr-0123456789abcdef0"),
    },
  ],
  a100: ["/dev/xvda", 200, { capacityReservationSpecification: reserved("cr-0fedcba9876543210") }],
  arm: ["/dev/xvda", 200],
};

/** The machines and roles of a stage with EKS_CLUSTER=new. */
export const machineChecks = {
  /**
   * https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html, and of its values
   * https://docs.aws.amazon.com/eks/latest/userguide/capacity-blocks-mng.html and eks-optimized-amis.html beside it. A
   * group in one zone: https://docs.aws.amazon.com/eks/latest/best-practices/cas.html.
   */
  nodeGroups(resources) {
    const made = ofType(resources, GROUP);
    return [
      ...different(
        "node groups",
        made.map(({ inputs }) => inputs.nodeGroupName),
        Object.keys(groups),
      ),
      ...made.flatMap(({ name, inputs, after, ignored }) => {
        const { subnetIds, amiType, capacityType, instanceTypes, scalingConfig, labels } = inputs;
        const letters = subnetIds.map((id: string) => /^Cluster-us-east-1([ab])-id$/.exec(id)?.[1] ?? id);
        const { minSize, maxSize, desiredSize } = scalingConfig;
        const label = labels?.["k8s.amazonaws.com/accelerator"];
        const found = [letters, amiType, capacityType, instanceTypes, minSize, maxSize, label];
        return [
          ...differentInOrder(name, found, groups[inputs.nodeGroupName]),
          ...differentInOrder(`${name}: machines at first`, desiredSize, minSize),
          // Else a job without GPUs, or DNS, takes a GPU machine.
          ...differentFields(name, inputs, { taints: label && taint }),
          ...differentFields(name, inputs, { tags: isSystem(inputs) ? undefined : getTags(inputs.nodeGroupName) }),
          ...differentFields(name, inputs, {
            clusterName: cluster,
            version: "1.35",
            nodeRoleArn: role("ClusterMachines"),
            // managed-node-update-behavior.html: one machine after another.
            updateConfig: { maxUnavailable: 1 },
          }),
          // Else a change of a limit sends the number of machines of the creation, and EKS ends machines with jobs.
          // API_UpdateNodegroupConfig.html has no subnets: else a zone that is added replaces the group.
          ...differentInOrder(`${name}: what a deployment leaves`, ignored, ["scalingConfig", "subnetIds"]),
          ...differentInOrder(`${name}: version of its template`, inputs.launchTemplate.version, "7"),
          ...["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"]
            .filter((policy) => !after.some((each) => each.endsWith(policy)))
            .map((policy) => `${name} is made before ${policy}`),
        ];
      }),
    ];
  },

  /** https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html, and for one hop best-practices/identity-and-access-management.html. */
  launchTemplates(resources) {
    const made = ofType(resources, "aws:ec2/launchTemplate:LaunchTemplate");
    return [
      ...different(
        "launch templates",
        made.map(({ name }) => name),
        Object.keys(templates).map((name) => `Cluster-${name}`),
      ),
      ...made.flatMap(({ name, inputs }) => {
        const [deviceName, volumeSize, more = {}] = templates[name.replace("Cluster-", "")] ?? ["", 0];
        const ebs = { volumeType: "gp3", volumeSize, encrypted: "true", deleteOnTermination: "true" };
        const tags = { Name: `${cluster}-${name.replace("Cluster-", "")}`, "berth:cluster": cluster };
        return [
          ...differentFields(name, inputs, {
            metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
            blockDeviceMappings: [{ deviceName, ebs }],
            tagSpecifications: ["instance", "volume"].map((resourceType) => ({ resourceType, tags })),
          }),
          ...differentFields(name, inputs, {
            instanceType: more.instanceType,
            instanceMarketOptions: more.instanceMarketOptions,
            capacityReservationSpecification: more.capacityReservationSpecification,
          }),
        ];
      }),
    ];
  },

  /** https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md#auto-discovery-setup */
  scaleFromZero(resources) {
    return different(
      "tags of Auto Scaling groups",
      ofType(resources, "aws:autoscaling/tag:Tag").map(({ inputs: { autoscalingGroupName, tag } }) =>
        [
          autoscalingGroupName,
          tag.key.replace(/^k8s\.io\/cluster-autoscaler\/node-template\/(resources\/)?/, ""),
          tag.value,
        ].join(),
      ),
      [
        ...Object.keys(groups)
          .filter((name) => name !== "system")
          .map((name) => `eks-${name},label/eks.amazonaws.com/nodegroup,${name}`),
        ...[...efaGroups, "a100-us-east-1a"].map((name) => `eks-${name},nvidia.com/gpu,8`),
        ...["a", "b"].map((letter) => `eks-a10g-us-east-1${letter},nvidia.com/gpu,4`),
        ...efaGroups.map((name) => `eks-${name},vpc.amazonaws.com/efa,32`),
        ...["a", "b"].map((letter) => `eks-h100-us-east-1${letter},ephemeral-storage,800Gi`),
        ...["a10g-us-east-1a", "a10g-us-east-1b", "block-us-east-1b", "a100-us-east-1a", "arm-us-east-1b"].map(
          (name) => `eks-${name},ephemeral-storage,160Gi`,
        ),
      ],
    );
  },

  /**
   * https://docs.aws.amazon.com/eks/latest/userguide/cluster-iam-role.html, create-node-role.html, cni-iam-role.html,
   * pod-id-association.html and cross-service-confused-deputy-prevention.html beside it.
   */
  rolesOfCluster(resources) {
    const roles = ofType(resources, "aws:iam/role:Role").filter(({ name }) => name.startsWith("Cluster"));
    const attached = ofType(resources, "aws:iam/rolePolicyAttachment:RolePolicyAttachment");
    return [
      ...different(
        "roles of the cluster",
        roles.map(({ name, inputs }) => `${name} ${trustedBy(inputs)}`),
        [
          `ClusterControlPlane eks.amazonaws.com ${arn("eks", `cluster/${cluster}`)} ${ACCOUNT}`,
          "ClusterMachines ec2.amazonaws.com",
          `ClusterNetwork pods.eks.amazonaws.com ${account("aws-node")}`,
          `ClusterDisks pods.eks.amazonaws.com ${account("ebs-csi-controller-sa")}`,
          `ClusterAutoscaler pods.eks.amazonaws.com ${account("cluster-autoscaler")}`,
        ],
      ),
      ...different(
        "policies of AWS",
        attached.map(({ inputs }) => `${inputs.role} ${inputs.policyArn}`),
        [
          "ClusterControlPlane AmazonEKSClusterPolicy",
          "ClusterMachines AmazonEKSWorkerNodePolicy",
          "ClusterMachines AmazonEC2ContainerRegistryPullOnly",
          "ClusterNetwork AmazonEKS_CNI_Policy",
        ].map((text) => text.replace(" ", " arn:aws:iam::aws:policy/")),
      ),
      ...different("rights", roles.flatMap(listRights), rights),
      ...ofType(resources, "aws:eks/podIdentityAssociation:PodIdentityAssociation")
        .filter(({ name }) => name === "ClusterAutoscaler")
        .flatMap(({ inputs }) =>
          differentFields("the autoscaler's account", inputs, {
            namespace: "kube-system",
            serviceAccount: "cluster-autoscaler",
            roleArn: role("ClusterAutoscaler"),
          }),
        ),
    ];
  },
} as const satisfies Record<string, Check>;

/** `npm run deploy` finds by them that EKS_NODE_GROUPS has another `efa`. */
function getTags(name: string): Readonly<Record<string, string>> {
  return { "berth:selectable": "true", ...(/^(h100|block)-/.test(name) && { "berth:efa": "true" }) };
}

const isSystem = ({ nodeGroupName }: Resource["inputs"]) => nodeGroupName === "system";
const role = (name: string) => `arn:aws:iam::${ACCOUNT}:role/${name}`;
const account = (name: string) => `arn:aws:eks:${REGION}:${ACCOUNT}:cluster/${cluster} kube-system ${name}`;

function trustedBy({ assumeRolePolicy }: Resource["inputs"]): string {
  const [{ Principal, Condition }, ...others] = JSON.parse(assumeRolePolicy).Statement;
  const { ArnLike, StringEquals } = Condition ?? {};
  const values = [ArnLike?.["aws:SourceArn"] ?? [], Object.values(StringEquals ?? {})];
  return [Principal.Service, ...values.flat(), ...others.map(() => "and others")].flat().join(" ");
}

/** A line for each action: role, action, resources and conditions. */
function listRights({ name, inputs }: Resource): string[] {
  const policies: readonly { readonly policy: string }[] = inputs.inlinePolicies ?? [];
  return policies
    .flatMap(({ policy }) => JSON.parse(policy).Statement)
    .flatMap(({ Action, Resource: on, Condition }: Resource["inputs"]) =>
      Action.map((action: string) => [name, action, on, JSON.stringify(Condition ?? {})].join(" ")),
    );
}

const right = (name: string, service: string, actions: string, on: string, condition: object = {}) =>
  actions.split(" ").map((action) => [name, `${service}:${action}`, on, JSON.stringify(condition)].join(" "));
const arn = (service: string, rest: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${rest}`;
const key = newClusterSettings.EBS_KMS_KEY_ID;

const rights = [
  // https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/install.md#set-up-driver-permissions
  ...right(
    "ClusterDisks",
    "ec2",
    "DescribeAvailabilityZones DescribeInstances DescribeTags DescribeVolumes DescribeVolumesModifications DescribeVolumeStatus",
    "*",
  ),
  ...right("ClusterDisks", "ec2", "AttachVolume DetachVolume", arn("ec2", "volume/*"), {
    Null: { "aws:ResourceTag/berth:deployment": "false" },
  }),
  ...right("ClusterDisks", "ec2", "AttachVolume DetachVolume", arn("ec2", "instance/*"), {
    StringEquals: { "aws:ResourceTag/berth:cluster": cluster },
  }),
  ...right("ClusterDisks", "kms", "CreateGrant ListGrants RevokeGrant", key, {
    Bool: { "kms:GrantIsForAWSResource": "true" },
  }),
  ...right("ClusterDisks", "kms", "Encrypt Decrypt ReEncrypt* GenerateDataKey* DescribeKey", key),
  // https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md#iam-policy
  ...right(
    "ClusterAutoscaler",
    "autoscaling",
    "DescribeAutoScalingGroups DescribeAutoScalingInstances DescribeLaunchConfigurations DescribeScalingActivities DescribeTags",
    "*",
  ),
  ...right(
    "ClusterAutoscaler",
    "ec2",
    "DescribeImages DescribeInstanceTypes DescribeLaunchTemplateVersions GetInstanceTypesFromInstanceRequirements",
    "*",
  ),
  ...right("ClusterAutoscaler", "eks", "DescribeNodegroup", arn("eks", `nodegroup/${cluster}/*/*`)),
  ...right(
    "ClusterAutoscaler",
    "autoscaling",
    "SetDesiredCapacity TerminateInstanceInAutoScalingGroup",
    arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*"),
    { StringEquals: { [`aws:ResourceTag/k8s.io/cluster-autoscaler/${cluster}`]: "owned" } },
  ),
];
