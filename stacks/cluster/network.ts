import type { NewCluster } from "./settings.ts";

type Text = $util.Input<string>;
type Texts = $util.Input<Text[]>;

/** The network of a new cluster. */
export interface ClusterNetwork {
  readonly vpcId: Text;
  /** Private subnets of all zones: for the control plane, the system's machines and functions. */
  readonly subnetIds: Texts;
  /** Returns the private subnets of a zone. */
  readonly inZone: (zone: string) => Texts;
  /** The way out of machines. It is made before them and removed after them: a machine that ends still calls AWS. */
  readonly ready: readonly $util.Resource[];
}

interface NetworkOptions {
  readonly clusterName: string;
  /** A NAT gateway in each zone, so that one zone's failure cuts off no other. */
  readonly natInEachZone: boolean;
}

/** Uses VPC_SUBNETS, or creates a network. */
export function makeNetwork(
  { subnets, zones }: Pick<NewCluster, "subnets" | "zones">,
  options: NetworkOptions,
  keep: $util.CustomResourceOptions,
): ClusterNetwork {
  return subnets ? findNetwork(subnets, zones) : createNetwork(zones, options, keep);
}

/** Throws during the deployment, before it creates a cluster, if a zone has no subnet. */
function findNetwork(ids: readonly string[], zones: readonly string[]): ClusterNetwork {
  const found = ids.map((id) => aws.ec2.getSubnetOutput({ id }));
  const byZone = $util
    .all(found.map(({ id, availabilityZone }) => $util.all([id, availabilityZone])))
    .apply((pairs) => groupByZone(pairs, zones));
  return {
    vpcId: found[0]?.vpcId ?? "",
    subnetIds: byZone.apply((subnets) => [...subnets.values()].flat()),
    inZone: (zone) => byZone.apply((subnets) => subnets.get(zone) ?? []),
    ready: [],
  };
}

export function groupByZone(
  pairs: readonly (readonly [id: string, zone: string])[],
  zones: readonly string[],
): ReadonlyMap<string, string[]> {
  const subnets = new Map(zones.map((zone) => [zone, pairs.filter((pair) => pair[1] === zone).map(([id]) => id)]));
  const missing = zones.filter((zone) => subnets.get(zone)?.length === 0);
  if (missing.length > 0) throw new Error(`VPC_SUBNETS has no subnet in ${missing.join(", ")}, which EKS_ZONES names`);
  return subnets;
}

/** The zone's letter chooses its addresses, so that a zone that is added moves no other's. Each machine and each pod takes one. */
const NETWORK = "10.90.0.0/16";
const privateRange = (zone: string) => `10.90.${32 * getLetter(zone)}.0/19`;
const publicRange = (zone: string) => `10.90.${192 + getLetter(zone)}.0/24`;

function getLetter(zone: string): number {
  return "abcdef".indexOf(zone.slice(-1));
}

/**
 * Creates private subnets for machines, and public ones for NAT gateways and load balancers. The tags are those by which
 * load balancers find their subnets (EKS User Guide, "Route TCP and UDP traffic with Network Load Balancers").
 */
function createNetwork(
  zones: readonly string[],
  { clusterName, natInEachZone }: NetworkOptions,
  keep: $util.CustomResourceOptions,
): ClusterNetwork {
  const tags = { Name: clusterName };
  // The control plane's private address needs both (EKS User Guide, "Configure network access to cluster API server endpoint").
  const dns = { enableDnsHostnames: true, enableDnsSupport: true };
  const vpc = new aws.ec2.Vpc("Cluster", { cidrBlock: NETWORK, ...dns, tags }, keep);
  // Nothing uses this group, and by default its members reach each other.
  new aws.ec2.DefaultSecurityGroup("Cluster", { vpcId: vpc.id, ingress: [], egress: [], tags }, keep);
  const internet = new aws.ec2.InternetGateway("Cluster", { vpcId: vpc.id, tags }, keep);
  const outward = [{ cidrBlock: "0.0.0.0/0", gatewayId: internet.id }];
  const publicRoutes = new aws.ec2.RouteTable("ClusterPublic", { vpcId: vpc.id, routes: outward, tags }, keep);
  const outside = zones.map((zone) => {
    const place = { vpcId: vpc.id, availabilityZone: zone, cidrBlock: publicRange(zone) };
    const subnet = new aws.ec2.Subnet(
      `ClusterPublic-${zone}`,
      { ...place, tags: { ...tags, "kubernetes.io/role/elb": "1" } },
      keep,
    );
    return { subnet, association: associate(`ClusterPublic-${zone}`, subnet, publicRoutes, keep) };
  });
  const nats = outside
    .slice(0, natInEachZone ? undefined : 1)
    .map(({ subnet }, n) => makeNat(natInEachZone ? `Cluster-${zones[n]}` : "ClusterNat", subnet, internet, keep));
  const inside = zones.map((zone, n) => makePrivateSubnet(zone, vpc, nats[n] ?? nats[0], { tags, keep }));
  makeEndpoints(
    vpc,
    inside.map(({ routes }) => routes.id),
    keep,
  );
  return {
    vpcId: vpc.id,
    subnetIds: inside.map(({ subnet }) => subnet.id),
    inZone: (zone) => inside.filter((each) => each.zone === zone).map(({ subnet }) => subnet.id),
    ready: [...outside, ...inside].map(({ association }) => association),
  };
}

/** The gateway stays in its subnet: another first zone of EKS_ZONES would else replace the only one, which is protected. */
function makeNat(
  name: string,
  subnet: aws.ec2.Subnet,
  internet: aws.ec2.InternetGateway,
  keep: $util.CustomResourceOptions,
): aws.ec2.NatGateway {
  const address = new aws.ec2.Eip(name, { domain: "vpc" }, keep);
  const place = { subnetId: subnet.id, allocationId: address.id };
  return new aws.ec2.NatGateway(name, place, { ...keep, dependsOn: internet, ignoreChanges: ["subnetId"] });
}

interface PrivateSubnet {
  readonly zone: string;
  readonly subnet: aws.ec2.Subnet;
  readonly routes: aws.ec2.RouteTable;
  readonly association: aws.ec2.RouteTableAssociation;
}

function makePrivateSubnet(
  zone: string,
  vpc: aws.ec2.Vpc,
  nat: aws.ec2.NatGateway | undefined,
  { tags, keep }: { readonly tags: Readonly<Record<string, string>>; readonly keep: $util.CustomResourceOptions },
): PrivateSubnet {
  const name = `Cluster-${zone}`;
  const subnet = new aws.ec2.Subnet(
    name,
    {
      vpcId: vpc.id,
      availabilityZone: zone,
      cidrBlock: privateRange(zone),
      tags: { ...tags, "kubernetes.io/role/internal-elb": "1" },
    },
    keep,
  );
  const outward = nat ? [{ cidrBlock: "0.0.0.0/0", natGatewayId: nat.id }] : [];
  const routes = new aws.ec2.RouteTable(name, { vpcId: vpc.id, routes: outward, tags }, keep);
  return { zone, subnet, routes, association: associate(name, subnet, routes, keep) };
}

function associate(
  name: string,
  subnet: aws.ec2.Subnet,
  routes: aws.ec2.RouteTable,
  keep: $util.CustomResourceOptions,
): aws.ec2.RouteTableAssociation {
  return new aws.ec2.RouteTableAssociation(name, { subnetId: subnet.id, routeTableId: routes.id }, keep);
}

/** Gateway endpoints cost nothing, and layers of ECR's images are in S3 (Amazon VPC, "Gateway endpoints"). */
function makeEndpoints(vpc: aws.ec2.Vpc, routeTableIds: Text[], keep: $util.CustomResourceOptions): void {
  const region = aws.getRegionOutput().name;
  for (const service of ["s3", "dynamodb"]) {
    const serviceName = $util.interpolate`com.amazonaws.${region}.${service}`;
    new aws.ec2.VpcEndpoint(
      `Cluster-${service}`,
      { vpcId: vpc.id, serviceName, vpcEndpointType: "Gateway", routeTableIds },
      keep,
    );
  }
}
