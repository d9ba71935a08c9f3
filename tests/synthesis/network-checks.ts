import { type Check, different, ofType } from "./checks.ts";
import { differentFields } from "./cluster-checks.ts";
import type { Resource } from "./synthesize.ts";

const EIP = "aws:ec2/eip:Eip";
const EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule";
const GATEWAY = "aws:ec2/internetGateway:InternetGateway";
const GROUP = "aws:ec2/securityGroup:SecurityGroup";
const VPC = "aws:ec2/vpc:Vpc";

/** What a new network consists of beside its subnets and routes, and that nothing of a new cluster is left unchecked. */
export const networkChecks = {
  /**
   * https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html (DNS), and of the way out
   * https://docs.aws.amazon.com/vpc/latest/userguide/vpc-nat-gateway.html.
   */
  networkParts(resources) {
    const [vpc, ...others] = ofType(resources, VPC);
    const nats = ofType(resources, "aws:ec2/natGateway:NatGateway");
    return [
      ...others.map(({ name }) => `${name} is a second network`),
      ...differentFields("the network", vpc?.inputs ?? {}, {
        cidrBlock: "10.90.0.0/16",
        enableDnsHostnames: true,
        enableDnsSupport: true,
      }),
      ...ofType(resources, GATEWAY).flatMap(({ inputs }) =>
        differentFields("the internet gateway", inputs, { vpcId: `${vpc?.name}-id` }),
      ),
      ...different(
        "addresses of NAT gateways",
        nats.map(({ inputs }) => inputs.allocationId),
        ofType(resources, EIP).map(({ name, inputs }) => `${name}-id${inputs.domain === "vpc" ? "" : " outside"}`),
      ),
    ];
  },

  /** https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html: functions reach AWS and GitHub, and nothing else. */
  functionsGroup(resources) {
    const [group, ...others] = ofType(resources, GROUP);
    const rules = ofType(resources, EGRESS);
    return [
      ...others.map(({ name }) => `${name} is a second security group`),
      ...differentFields("the functions' security group", group?.inputs ?? {}, { vpcId: "Cluster-id" }),
      ...different("its inline rules", Object.keys(group?.inputs ?? {}), ["description", "vpcId"]),
      ...different(
        "its ways out",
        rules.map(({ inputs }) => formatRule(inputs)),
        ["ClusterFunctions-id tcp 443-443 0.0.0.0/0"],
      ),
    ];
  },

  /** A type that is not listed has no check yet: write one, then list it. */
  typesWithChecks(resources) {
    const made = resources.filter(({ type, read }) => type.startsWith("aws:") && !read).map(({ type }) => type);
    return different("types of resources", [...new Set(made)], checkedTypes);
  },
} as const satisfies Record<string, Check>;

function formatRule({ securityGroupId, ipProtocol, fromPort, toPort, cidrIpv4 }: Resource["inputs"]): string {
  return `${securityGroupId} ${ipProtocol} ${fromPort}-${toPort} ${cidrIpv4}`;
}

const checkedTypes = [
  ...[EIP, EGRESS, GATEWAY, GROUP, VPC],
  // In cluster-checks.ts.
  "aws:cloudwatch/logGroup:LogGroup",
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
  "aws:ec2/natGateway:NatGateway",
  "aws:ec2/routeTable:RouteTable",
  "aws:ec2/routeTableAssociation:RouteTableAssociation",
  "aws:ec2/subnet:Subnet",
  "aws:ec2/vpcEndpoint:VpcEndpoint",
  "aws:eks/accessEntry:AccessEntry",
  "aws:eks/addon:Addon",
  "aws:eks/cluster:Cluster",
  "aws:eks/podIdentityAssociation:PodIdentityAssociation",
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
  // In machine-checks.ts and efa-checks.ts.
  "aws:autoscaling/tag:Tag",
  "aws:ec2/launchTemplate:LaunchTemplate",
  "aws:ec2/placementGroup:PlacementGroup",
  "aws:eks/nodeGroup:NodeGroup",
  "aws:iam/role:Role",
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
  // The key of the stage, which is no part of the cluster.
  "aws:kms/key:Key",
];
