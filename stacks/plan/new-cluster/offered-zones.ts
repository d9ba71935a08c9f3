import { EC2Client, paginateDescribeInstanceTypeOfferings } from "@aws-sdk/client-ec2";
import type { ClusterReport, Finding } from "../../../packages/core/ports/cluster-report.ts";
import { SYSTEM_TYPE } from "../../cluster/node-groups.ts";
import type { NewCluster } from "../../cluster/settings.ts";
import type { Environment } from "../aws-client.ts";
import { askAccount } from "./ask-account.ts";

/**
 * Returns the zones of a new cluster that do not offer a machine type of it. EC2 refuses a machine there only half-way
 * through a deployment, when other parts of the cluster are made and protected.
 */
export async function checkZones(wanted: NewCluster, environment: Environment): Promise<ClusterReport> {
  const check = { what: "zones that offer the machine types", service: "EC2" };
  return askAccount(
    check,
    environment,
    (options) => new EC2Client(options),
    async (ec2) => {
      const offered = await listOffered(ec2, [SYSTEM_TYPE, ...wanted.groups.map(({ type }) => type)]);
      return { findings: findLacking(wanted, offered), leftOut: [] };
    },
  );
}

type Offered = ReadonlyMap<string, readonly string[]>;

/** Returns the region's zones of each type that any of them offers. */
async function listOffered(client: EC2Client, types: readonly string[]): Promise<Offered> {
  const filters = [{ Name: "instance-type", Values: [...new Set(types)] }];
  const request = { LocationType: "availability-zone", Filters: filters } as const;
  const offered = new Map<string, string[]>();
  for await (const { InstanceTypeOfferings = [] } of paginateDescribeInstanceTypeOfferings({ client }, request)) {
    for (const { InstanceType: type = "", Location: zone = "" } of InstanceTypeOfferings)
      offered.set(type, [...(offered.get(type) ?? []), zone].toSorted());
  }
  return offered;
}

function findLacking({ zones, groups }: NewCluster, offered: Offered): Finding[] {
  const needs = [
    ...zones.map((zone) => ({ what: `zone ${zone} (EKS_ZONES)`, type: SYSTEM_TYPE, zone })),
    ...groups.flatMap(({ name, type, zones: own }) =>
      own.map((zone) => ({ what: `group ${name} in ${zone} (EKS_NODE_GROUPS)`, type, zone })),
    ),
  ];
  return needs
    .filter(({ type, zone }) => !offered.get(type)?.includes(zone))
    .map(({ what, type }) => {
      const others = offered.get(type) ?? [];
      const todo = others.length > 0 ? `It is in ${others.join(", ")}` : "Choose another type, or another region";
      return { what, missing: `AWS has no ${type} in this zone`, todo };
    });
}
