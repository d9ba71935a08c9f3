import {
  type EC2Client,
  paginateDescribeRouteTables,
  paginateDescribeSubnets,
  paginateDescribeVpcEndpoints,
  type Route,
  type RouteTable,
  type Subnet,
} from "@aws-sdk/client-ec2";
import { checkAnswer, joinReports } from "../../../packages/aws/cluster-check/findings.ts";
import type { ClusterReport } from "../../../packages/core/ports/cluster-report.ts";
import type { NewCluster } from "../../cluster/settings.ts";
import type { Environment } from "../aws-client.ts";
import { askEc2 } from "./ask-account.ts";

const SETTING = "VPC_SUBNETS";
const ROUTES = "docs/deploy-reference.md#functions-in-the-clusters-network";

/**
 * Services that a machine calls before it is ready, by the end of their names (EKS User Guide, "Deploy private clusters with
 * limited internet access").
 */
const NEEDED_ENDPOINTS = ["ec2", "ecr.api", "ecr.dkr", "eks", "sts"];

/** Returns what VPC_SUBNETS lack for machines, which otherwise never join the cluster. */
export async function checkSubnets(
  ids: readonly string[],
  { zones, isPrivate }: NewCluster,
  environment: Environment,
): Promise<ClusterReport> {
  const answer = await askEc2(environment, (ec2) => readNetwork(ec2, ids));
  return checkAnswer(`routes out of ${SETTING}`, answer, (network) =>
    joinReports([
      checkPlaces(ids, zones, network.subnets),
      // Subnets of other zones are not used.
      ...network.subnets
        .filter(({ AvailabilityZone = "" }) => zones.includes(AvailabilityZone))
        .map((subnet) => checkWayOut(subnet, network, isPrivate)),
    ]),
  );
}

interface Network {
  readonly subnets: readonly Subnet[];
  readonly tables: readonly RouteTable[];
  /** Names of services with an interface endpoint, by VPC. */
  readonly endpoints: ReadonlyMap<string, readonly string[]>;
}

async function readNetwork(client: EC2Client, ids: readonly string[]): Promise<Network> {
  const subnets: Subnet[] = [];
  // A call with ids fails as a whole if one of them is gone.
  for await (const page of paginateDescribeSubnets({ client }, { Filters: [{ Name: "subnet-id", Values: [...ids] }] }))
    subnets.push(...(page.Subnets ?? []));
  const inVpcs = { Name: "vpc-id", Values: listVpcs(subnets) };
  if (inVpcs.Values.length === 0) return { subnets, tables: [], endpoints: new Map() };
  const tables: RouteTable[] = [];
  for await (const page of paginateDescribeRouteTables({ client }, { Filters: [inVpcs] }))
    tables.push(...(page.RouteTables ?? []));
  const endpoints = new Map<string, string[]>();
  for await (const { VpcEndpoints = [] } of paginateDescribeVpcEndpoints({ client }, { Filters: [inVpcs] })) {
    for (const { VpcId = "", VpcEndpointType, State, ServiceName = "" } of VpcEndpoints) {
      if (VpcEndpointType !== "Interface" || State?.toLowerCase() !== "available") continue;
      endpoints.set(VpcId, [...(endpoints.get(VpcId) ?? []), ServiceName]);
    }
  }
  return { subnets, tables, endpoints };
}

function listVpcs(subnets: readonly Subnet[]): string[] {
  return [...new Set(subnets.map(({ VpcId = "" }) => VpcId))];
}

function checkPlaces(ids: readonly string[], zones: readonly string[], subnets: readonly Subnet[]): ClusterReport {
  const gone = ids.filter((id) => !subnets.some(({ SubnetId }) => SubnetId === id));
  const empty = zones.filter((zone) => !subnets.some(({ AvailabilityZone }) => AvailabilityZone === zone));
  const vpcs = listVpcs(subnets);
  const findings = [
    ...gone.map((id) => ({
      what: `${id} (${SETTING})`,
      missing: "EC2 lists no such subnet in this account and region",
      todo: "Correct the id, AWS_REGION or DEPLOY_ACCOUNT",
    })),
    ...empty.map((zone) => ({
      what: `zone ${zone} (EKS_ZONES)`,
      missing: `${SETTING} has no subnet in it`,
      todo: `Add one to ${SETTING}, or remove the zone from EKS_ZONES`,
    })),
    ...(vpcs.length > 1
      ? [{ what: SETTING, missing: `it is in ${vpcs.join(" and ")}`, todo: "Name subnets of one VPC" }]
      : []),
  ];
  return { findings, leftOut: [] };
}

function checkWayOut(subnet: Subnet, { tables, endpoints }: Network, isPrivate: boolean): ClusterReport {
  const { SubnetId = "", VpcId = "" } = subnet;
  const what = `${SubnetId} (${SETTING})`;
  const routes = findRoutes(SubnetId, VpcId, tables);
  const route = routes.find(({ DestinationCidrBlock }) => DestinationCidrBlock === "0.0.0.0/0");
  if (route) {
    const missing = describeDeadEnd(route, subnet, isPrivate);
    const todo = `Lead the default route to a NAT gateway or a transit gateway: ${ROUTES}`;
    return { findings: missing === undefined ? [] : [{ what, missing, todo }], leftOut: [] };
  }
  if (routes.some(leadsOut)) {
    const why = "it has no default route, and whether its other routes suffice is not known";
    return { findings: [], leftOut: [{ what, why }] };
  }
  const services = endpoints.get(VpcId) ?? [];
  const lacking = NEEDED_ENDPOINTS.filter((name) => !services.some((service) => service.endsWith(`.${name}`)));
  if (lacking.length === 0) {
    const why = "it has no default route, and whether the endpoints of its VPC suffice is not known";
    return { findings: [], leftOut: [{ what, why }] };
  }
  const missing = `it has no default route, and its VPC no interface endpoint for ${lacking.join(", ")}`;
  const todo = `Add a default route to a NAT gateway or a transit gateway: ${ROUTES}`;
  return { findings: [{ what, missing, todo }], leftOut: [] };
}

/** Without its own route table, a subnet uses the VPC's main one (Amazon VPC User Guide, "Configure route tables"). */
function findRoutes(subnetId: string, vpcId: string, tables: readonly RouteTable[]): readonly Route[] {
  const own = tables.find(({ Associations = [] }) => Associations.some(({ SubnetId }) => SubnetId === subnetId));
  const main = tables.find(({ VpcId, Associations = [] }) => VpcId === vpcId && Associations.some(({ Main }) => Main));
  return (own ?? main)?.Routes ?? [];
}

/** Reports whether a route may be part of a way out: for half of all addresses, or for those of a prefix list. */
function leadsOut({ DestinationCidrBlock, DestinationPrefixListId, GatewayId = "", State }: Route): boolean {
  const isHalf = DestinationCidrBlock === "0.0.0.0/1" || DestinationCidrBlock === "128.0.0.0/1";
  // An endpoint of S3 or DynamoDB has a prefix list too.
  const isList = DestinationPrefixListId !== undefined && !GatewayId.startsWith("vpce-");
  return State === "active" && (isHalf || isList);
}

/**
 * An internet gateway forwards only traffic of public addresses. Functions never have one (AWS Lambda Developer Guide,
 * "Enable internet access for VPC-connected Lambda functions").
 */
function describeDeadEnd(route: Route, { MapPublicIpOnLaunch }: Subnet, isPrivate: boolean): string | undefined {
  if (route.State === "blackhole") return "its default route is a blackhole, because the target is gone";
  if (!route.GatewayId?.startsWith("igw-")) return undefined;
  const gateway = `its default route leads to the internet gateway ${route.GatewayId}`;
  if (!MapPublicIpOnLaunch) return `${gateway}, and its machines get no public address`;
  return isPrivate ? `${gateway}, and the functions of EKS_ACCESS=private get no public address` : undefined;
}
