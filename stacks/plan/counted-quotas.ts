import type { NewCluster } from "../cluster/settings.ts";
import type { Stage } from "../stage.ts";
import type { QuotaNeed } from "./quota-check.ts";

/** A quota of things that a stage with its own cluster makes. */
export interface CountedQuota extends Pick<QuotaNeed, "service" | "name"> {
  readonly unit: (typeof quotas)[keyof typeof quotas]["unit"];
  readonly code: string;
  readonly usual: number;
  /** What the stage has when it is deployed. */
  readonly amount: number;
}

const quotas = {
  vpcs: { service: "vpc", name: "VPCs per Region", code: "L-F678F1CE", usual: 5, unit: "VPCs" },
  addresses: { service: "ec2", name: "EC2-VPC Elastic IPs", code: "L-0263D0A3", usual: 5, unit: "addresses" },
  nats: {
    service: "vpc",
    name: "NAT gateways per Availability Zone",
    code: "L-FE5A380F",
    usual: 5,
    unit: "NAT gateways in a zone",
  },
  endpoints: {
    service: "vpc",
    name: "Gateway VPC endpoints per Region",
    code: "L-1B52E74A",
    usual: 20,
    unit: "gateway endpoints",
  },
  clusters: { service: "eks", name: "Clusters", code: "L-1194D53C", usual: 100, unit: "clusters" },
} as const;

/** Amazon VPC User Guide, "Amazon VPC quotas", and EKS User Guide, "View and manage Amazon EKS service quotas". */
export function listCountedQuotas(stage: Pick<Stage, "isProduction">, wanted: NewCluster): CountedQuota[] {
  const network = [
    { ...quotas.vpcs, amount: 1 },
    { ...quotas.addresses, amount: countNats(stage, wanted) },
    { ...quotas.nats, amount: 1 },
    { ...quotas.endpoints, amount: 2 },
  ];
  return [...(wanted.subnets ? [] : network), { ...quotas.clusters, amount: 1 }];
}

/** Each NAT gateway has an address. */
export function countNats(stage: Pick<Stage, "isProduction">, wanted: NewCluster): number {
  return wanted.subnets ? 0 : listNatZones(stage, wanted).length;
}

/** Production has a NAT gateway in each zone, and other stages in their first one (stacks/cluster/network.ts). */
export function listNatZones({ isProduction }: Pick<Stage, "isProduction">, { zones }: NewCluster): readonly string[] {
  return isProduction ? zones : zones.slice(0, 1);
}
