import type { NewCluster } from "../cluster/settings.ts";
import type { Stage } from "../stage.ts";
import type { QuotaNeed } from "./quota-check.ts";

/** A quota of things that a stage with its own cluster makes. */
export interface CountedQuota extends Pick<QuotaNeed, "service" | "name" | "unit"> {
  readonly code: string;
  readonly usual: number;
  /** What the stage has when it is deployed. */
  readonly amount: number;
}

/** Amazon VPC User Guide, "Amazon VPC quotas", and EKS User Guide, "View and manage Amazon EKS service quotas". */
export function listCountedQuotas(stage: Pick<Stage, "isProduction">, wanted: NewCluster): CountedQuota[] {
  const vpcs = { service: "vpc", name: "VPCs per Region", code: "L-F678F1CE", usual: 5, unit: "VPCs" } as const;
  const addresses = {
    service: "ec2",
    name: "EC2-VPC Elastic IPs",
    code: "L-0263D0A3",
    usual: 5,
    unit: "addresses",
  } as const;
  const clusters = { service: "eks", name: "Clusters", code: "L-1194D53C", usual: 100, unit: "clusters" } as const;
  const network = [
    { ...vpcs, amount: 1 },
    { ...addresses, amount: countNats(stage, wanted) },
  ];
  return [...(wanted.subnets ? [] : network), { ...clusters, amount: 1 }];
}

/** Each NAT gateway has an address. */
export function countNats({ isProduction }: Pick<Stage, "isProduction">, { subnets, zones }: NewCluster): number {
  if (subnets) return 0;
  return isProduction ? zones.length : 1;
}
