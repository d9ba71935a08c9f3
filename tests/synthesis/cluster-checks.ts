import { isDeepStrictEqual } from "node:util";
import { type Check, different, differentInOrder, ofType } from "./checks.ts";
import { ACCOUNT, CLUSTER_ADDRESS, REGION } from "./cloud.ts";
import { newClusterName as cluster, newClusterSettings } from "./new-cluster-settings.ts";
import type { Resource } from "./synthesize.ts";

const CLUSTER = "aws:eks/cluster:Cluster";
const GROUP = "aws:eks/nodeGroup:NodeGroup";
const ADD_ON = "aws:eks/addon:Addon";
const SUBNET = "aws:ec2/subnet:Subnet";

/** What a stage with EKS_CLUSTER=new consists of beside what each stage has. */
export const clusterChecks = {
  /**
   * https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html, and of its parts
   * https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html (API), enable-kms.html (Secrets),
   * cluster-endpoint.html (private), control-plane-logs.html and disable-extended-support.html beside it.
   */
  controlPlane(resources) {
    const [made, ...others] = ofType(resources, CLUSTER);
    if (!made || others.length > 0) return ["there is not one cluster"];
    const subnets = ["a", "b"].map((letter) => `Cluster-us-east-1${letter}-id`);
    const [logs] = ofType(resources, "aws:cloudwatch/logGroup:LogGroup").filter(({ name }) => name === "ClusterLogs");
    return [
      ...differentFields("the cluster", made.inputs, {
        name: cluster,
        version: "1.35",
        roleArn: `arn:aws:iam::${ACCOUNT}:role/ClusterControlPlane`,
        accessConfig: { authenticationMode: "API", bootstrapClusterCreatorAdminPermissions: true },
        bootstrapSelfManagedAddons: false,
        upgradePolicy: { supportType: "STANDARD" },
        vpcConfig: { subnetIds: subnets, endpointPrivateAccess: true, endpointPublicAccess: false },
        encryptionConfig: {
          provider: { keyArn: `arn:aws:kms:${REGION}:${ACCOUNT}:key/Sealer` },
          resources: ["secrets"],
        },
        enabledClusterLogTypes: ["audit", "authenticator"],
        deletionProtection: true,
      }),
      // network-reqs.html: EKS refuses subnets in zones other than those of the creation.
      ...differentInOrder("what a deployment leaves", made.ignored, ["vpcConfig.subnetIds"]),
      ...differentInOrder("its log", logs?.inputs.name, `/aws/eks/${cluster}/cluster`),
      ...differentInOrder("days of its log", logs?.inputs.retentionInDays, 7),
      ...["aws:cloudwatch/logGroup:LogGroup ClusterLogs", `${ATTACHMENT} ClusterControlPlane-AmazonEKSClusterPolicy`]
        .filter((each) => !made.after.includes(each))
        .map((each) => `the cluster is made before ${each}`),
    ];
  },

  /** https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html, and NAT of vpc/latest/userguide/vpc-nat-gateway.html. */
  clusterNetwork(resources) {
    const subnets = ofType(resources, SUBNET);
    const tables = ofType(resources, "aws:ec2/routeTable:RouteTable");
    const routesOf = (name: string) => {
      const [link] = ofType(resources, "aws:ec2/routeTableAssociation:RouteTableAssociation").filter(
        ({ inputs }) => inputs.subnetId === `${name}-id`,
      );
      const table = tables.find((each) => `${each.name}-id` === link?.inputs.routeTableId);
      return (table?.inputs.routes ?? []).map(
        ({ cidrBlock, gatewayId, natGatewayId }: Resource["inputs"]) => `${cidrBlock} ${natGatewayId ?? gatewayId}`,
      );
    };
    return [
      ...different(
        "subnets",
        subnets.map(({ name, inputs: { availabilityZone, cidrBlock, tags, mapPublicIpOnLaunch } }) =>
          [
            name,
            availabilityZone,
            cidrBlock,
            Object.keys(tags).toSorted()[1],
            mapPublicIpOnLaunch,
            routesOf(name),
          ].join(),
        ),
        [
          "Cluster-us-east-1a,us-east-1a,10.90.0.0/19,kubernetes.io/role/internal-elb,,0.0.0.0/0 ClusterNat-id",
          "Cluster-us-east-1b,us-east-1b,10.90.32.0/19,kubernetes.io/role/internal-elb,,0.0.0.0/0 ClusterNat-id",
          "ClusterPublic-us-east-1a,us-east-1a,10.90.192.0/24,kubernetes.io/role/elb,,0.0.0.0/0 Cluster-id",
          "ClusterPublic-us-east-1b,us-east-1b,10.90.193.0/24,kubernetes.io/role/elb,,0.0.0.0/0 Cluster-id",
        ],
      ),
      // A machine that starts or ends calls AWS, so its way out is there before and after it.
      ...ofType(resources, GROUP).flatMap(({ name, after }) =>
        subnets
          .map((subnet) => `aws:ec2/routeTableAssociation:RouteTableAssociation ${subnet.name}`)
          .filter((association) => !after.includes(association))
          .map((association) => `${name} is made before ${association}`),
      ),
      ...different(
        "NAT gateways",
        ofType(resources, "aws:ec2/natGateway:NatGateway").map(({ inputs }) => inputs.subnetId),
        ["ClusterPublic-us-east-1a-id"],
      ),
      ...different(
        "endpoints",
        ofType(resources, "aws:ec2/vpcEndpoint:VpcEndpoint").map(
          ({ inputs }) => `${inputs.vpcEndpointType} ${inputs.serviceName} ${inputs.routeTableIds}`,
        ),
        ["s3", "dynamodb"].map(
          (service) => `Gateway com.amazonaws.${REGION}.${service} Cluster-us-east-1a-id,Cluster-us-east-1b-id`,
        ),
      ),
      ...ofType(resources, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
        .filter(({ inputs }) => inputs.ingress?.length !== 0 || inputs.egress?.length !== 0)
        .map(({ name }) => `${name} is open`),
    ];
  },

  /**
   * https://docs.aws.amazon.com/eks/latest/userguide/workloads-add-ons-available-eks.html, and for network policies
   * cni-network-policy-configure.html beside it.
   */
  addOns(resources) {
    const made = ofType(resources, ADD_ON);
    const find = (wanted: string) => made.find(({ inputs }) => inputs.addonName === wanted);
    const systemMachines = `${GROUP} Cluster-system`;
    const groups = ofType(resources, GROUP);
    return [
      ...different(
        "add-ons",
        made.map(({ inputs }) => `${inputs.addonName} on ${inputs.clusterName} ${inputs.addonVersion}`),
        [...beforeMachines, ...afterMachines].map((name) => `${name} on ${cluster} default for 1.35`),
      ),
      ...differentInOrder("vpc-cni", find("vpc-cni")?.inputs.configurationValues, '{"enableNetworkPolicy":"true"}'),
      ...different(
        "roles of add-ons",
        made.flatMap(({ inputs }) =>
          (inputs.podIdentityAssociations ?? []).map(
            (each: Resource["inputs"]) => `${each.serviceAccount} ${each.roleArn}`,
          ),
        ),
        ["aws-node ClusterNetwork", "ebs-csi-controller-sa ClusterDisks"].map((text) =>
          text.replace(" ", ` arn:aws:iam::${ACCOUNT}:role/`),
        ),
      ),
      // Without its network no machine becomes ready, and without a machine no pod of the others runs.
      ...groups.flatMap(({ name, after }) =>
        beforeMachines
          .filter((each) => !after.includes(`${ADD_ON} Cluster-${each}`))
          .map((each) => `${name} is made before ${each}`),
      ),
      ...made
        .filter(({ inputs, after }) => afterMachines.includes(inputs.addonName) !== after.includes(systemMachines))
        .map(({ name }) => `${name} is made at the wrong time`),
    ];
  },

  /** What the stage tells its functions and gives its roles, as for a cluster that exists (role-checks.ts). */
  handedOn(resources) {
    const entries = ofType(resources, "aws:eks/accessEntry:AccessEntry");
    const associations = ofType(resources, "aws:eks/podIdentityAssociation:PodIdentityAssociation");
    const [rule] = ofType(resources, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule");
    const outputs = resources.find(({ type }) => type === "berth:stage:Outputs")?.inputs ?? {};
    return [
      ...differentFields("what functions are told", outputs, {
        name: cluster,
        address: CLUSTER_ADDRESS,
        network: inside,
        settings: { EKS_CLUSTER: cluster },
        settingsForOthers:
          `EKS_CLUSTER=${cluster} EKS_ACCESS=private VPC_SUBNETS=${inside.privateSubnets.join()} ` +
          `VPC_SECURITY_GROUPS=${inside.securityGroups.join()} ` +
          "NEW_MACHINE_RESOURCES=p5.48xlarge=vpc.amazonaws.com/efa:32,p5e.48xlarge=vpc.amazonaws.com/efa:32 " +
          `EBS_KMS_KEY_ID=${newClusterSettings.EBS_KMS_KEY_ID}`,
      }),
      ...(entries.length > 1 ? [] : ["no role has an access entry"]),
      ...[...entries, ...associations]
        .filter(({ inputs, after }) => inputs.clusterName !== cluster || !after.includes(`${CLUSTER} Cluster`))
        .map(({ name }) => `${name} is not made in the new cluster, after it`),
      ...differentFields("who reaches the API server", rule?.inputs ?? {}, {
        ipProtocol: "tcp",
        fromPort: 443,
        toPort: 443,
        securityGroupId: "sg-cluster",
        referencedSecurityGroupId: "ClusterFunctions-id",
      }),
    ];
  },

  /** Pulumi's `protect`: no deployment removes a part of the cluster, also none that names another one. */
  protection(resources) {
    return resources
      .filter(({ type, name, read }) => !read && type.startsWith("aws:") && name.startsWith("Cluster"))
      .filter(({ isProtected }) => !isProtected)
      .map(({ type, name }) => `${type} ${name} may be removed`);
  },
} as const satisfies Record<string, Check>;

const ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment";
const beforeMachines = ["eks-pod-identity-agent", "kube-proxy", "vpc-cni"];
const afterMachines = ["coredns", "metrics-server", "aws-ebs-csi-driver"];
const inside = {
  privateSubnets: ["Cluster-us-east-1a-id", "Cluster-us-east-1b-id"],
  securityGroups: ["ClusterFunctions-id"],
};

/** Compares some fields of inputs, in any order of their keys. */
export function differentFields(subject: string, found: Resource["inputs"], wanted: Resource["inputs"]): string[] {
  return Object.entries(wanted)
    .filter(([name, value]) => !isDeepStrictEqual(found[name], value))
    .map(([name, value]) => `${subject}: ${name} ${JSON.stringify(found[name])} instead of ${JSON.stringify(value)}`);
}
