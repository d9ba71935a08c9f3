import { type EC2Client, paginateDescribeInstanceTypeOfferings } from "@aws-sdk/client-ec2";
import { checkAnswer } from "../../../packages/aws/cluster-check/findings.ts";
import type { ClusterReport, Finding } from "../../../packages/core/ports/cluster-report.ts";
import { SYSTEM_TYPE } from "../../cluster/node-groups.ts";
import type { NewCluster } from "../../cluster/settings.ts";
import type { Environment } from "../aws-client.ts";
import { askEc2 } from "./ask-account.ts";

/**
 * Returns the zones of a new cluster that do not offer a machine type of it. EC2 refuses a machine there only half-way
 * through a deployment, when other parts of the cluster are made and protected.
 */
export async function checkZones(wanted: NewCluster, environment: Environment): Promise<ClusterReport> {
  const types = [SYSTEM_TYPE, ...wanted.groups.map(({ type }) => type)];
  const offered = await askEc2(environment, (ec2) => listOffered(ec2, types));
  return checkAnswer("zones that offer the machine types", offered, (zones) => ({
    findings: findLacking(wanted, zones),
    leftOut: [],
  }));
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
      const choice = type === SYSTEM_TYPE ? "Choose another region" : "Choose another type, or another region";
      const todo = others.length > 0 ? `It is in ${others.join(", ")}` : choice;
      return { what, missing: `AWS has no ${type} in this zone`, todo };
    });
}
