import { KUBERNETES_VERSION } from "../cluster/cluster.ts";
import type { NodeGroup } from "../cluster/node-group-schema.ts";
import { getType, SYSTEM_MACHINES, SYSTEM_TYPE } from "../cluster/node-groups.ts";
import type { NewCluster } from "../cluster/settings.ts";
import type { Stage } from "../stage.ts";

/** US dollars an hour. */
export interface HourPrices {
  readonly controlPlane: number;
  /** A NAT gateway. A GB through it costs as much. */
  readonly nat: number;
  readonly publicAddress: number;
  /** On demand, by instance type. */
  readonly machines: Readonly<Record<string, number>>;
}

/** Machines of one type that one setting makes. */
interface Machines {
  readonly what: string;
  readonly type: string;
  readonly vcpus: number;
  readonly least: number;
  readonly most: number;
  readonly bought: Bought;
}

type Bought = "on demand" | "spot" | "reservation" | "capacity block";

/** Returns what a stage's own cluster costs by the hour, by which setting, and the quotas that it needs. */
export function newClusterLines(stage: Stage, wanted: NewCluster, prices: HourPrices): string[] {
  const machines = listMachines(wanted);
  return [
    `EKS_CLUSTER=new: this stage makes the cluster ${stage.eksCluster} with Kubernetes ${KUBERNETES_VERSION}. An hour of it:`,
    costLine(prices.controlPlane, prices.controlPlane, "the control plane"),
    ...natLines(stage, wanted, prices),
    ...machines.map((each) => machineLine(each, prices)),
    "Each machine has its disk beside that. The least is paid also while no job runs.",
    ...(wanted.isProtected
      ? ["EKS_PROTECT: neither a deployment nor `sst remove` removes the cluster or a group of it."]
      : []),
    "",
    "Quotas of the region for it, which AWS takes days to raise. What yours are, with a service and a code of these:",
    "  aws service-quotas get-service-quota --service-code <service> --quota-code <code>",
    ...quotasOfMachines(machines),
    ...quotasOfNetwork(stage, wanted),
  ];
}

function listMachines({ groups }: NewCluster): Machines[] {
  const { minSize: least, maxSize: most } = SYSTEM_MACHINES;
  const system = {
    what: "the cluster's own pods",
    type: SYSTEM_TYPE,
    vcpus: 2,
    least,
    most,
    bought: "on demand",
  } as const;
  return [system, ...groups.map(toMachines)];
}

function toMachines(group: NodeGroup): Machines {
  const { name, type, min, max, zones } = group;
  return {
    what: `group ${name} in ${zones.join(", ")} (EKS_NODE_GROUPS)`,
    type,
    vcpus: getType(type).vcpus,
    least: min * zones.length,
    most: max * zones.length,
    bought: howBought(group),
  };
}

function howBought({ spot, reservation, capacityBlock }: NodeGroup): Bought {
  if (capacityBlock) return "capacity block";
  if (reservation) return "reservation";
  return spot ? "spot" : "on demand";
}

function machineLine({ what, type, least, most, bought }: Machines, { machines }: HourPrices): string {
  const usd = bought === "on demand" ? machines[type] : undefined;
  const subject = `${what}: ${least} to ${most} × ${type}`;
  if (usd !== undefined) return costLine(least * usd, most * usd, subject);
  return `  ${notKnown[bought].padStart(WIDTH)}  ${subject}`;
}

const notKnown: Readonly<Record<Bought, string>> = {
  "on demand": "price not known",
  spot: "spot price",
  reservation: "as reserved",
  "capacity block": "paid before",
};

const WIDTH = 18;

function costLine(least: number, most: number, subject: string): string {
  const dollars = (usd: number) =>
    `$${usd.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 3 })}`;
  const text = least === most ? dollars(least) : `${dollars(least)} to ${dollars(most)}`;
  return `  ${text.padStart(WIDTH)}  ${subject}`;
}

function countNats({ isProduction }: Stage, { subnets, zones }: NewCluster): number {
  if (subnets) return 0;
  return isProduction ? zones.length : 1;
}

/** Each NAT gateway has a public IPv4 address, which costs as well. */
function natLines(stage: Stage, wanted: NewCluster, { nat, publicAddress }: HourPrices): string[] {
  const count = countNats(stage, wanted);
  if (count === 0) return ["  VPC_SUBNETS: your network's own NAT and endpoints, which the stage does not make"];
  const usd = count * (nat + publicAddress);
  return [costLine(usd, usd, `${count} NAT gateway${count > 1 ? "s" : ""} (EKS_ZONES), and $${nat} for each GB`)];
}

/** Service Quotas, "Amazon Elastic Compute Cloud (Amazon EC2)": vCPUs of all machines of such families. */
const vcpuQuotas: readonly (readonly [family: RegExp, spot: boolean, name: string, code: string])[] = [
  [/^p/, false, "Running On-Demand P instances", "L-417A185B"],
  [/^p/, true, "All P Spot Instance Requests", "L-7212CCBC"],
  [/^g/, false, "Running On-Demand G and VT instances", "L-DB2E81BA"],
  [/^g/, true, "All G and VT Spot Instance Requests", "L-3819A6DF"],
  [/^[acdhimrtz]/, false, "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", "L-1216C47A"],
  [/^[acdhimrtz]/, true, "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", "L-34B43A08"],
];

/** A Capacity Block counts towards no such quota. */
function quotasOfMachines(machines: readonly Machines[]): string[] {
  return vcpuQuotas.flatMap(([family, isSpot, name, code]) => {
    const counted = machines.filter(({ type, bought }) => {
      return family.test(type) && bought !== "capacity block" && (bought === "spot") === isSpot;
    });
    const vcpus = counted.reduce((sum, { most, vcpus: each }) => sum + most * each, 0);
    return vcpus === 0 ? [] : [quotaLine(`${vcpus} vCPUs or more`, name, "ec2", code)];
  });
}

/** Amazon VPC User Guide, "Amazon VPC quotas", and EKS User Guide, "View and manage Amazon EKS service quotas". */
function quotasOfNetwork(stage: Stage, wanted: NewCluster): string[] {
  const network = [
    quotaLine("1 more", "VPCs per Region, of 5", "vpc", "L-F678F1CE"),
    quotaLine(`${countNats(stage, wanted)} more`, "EC2-VPC Elastic IPs, of 5", "ec2", "L-0263D0A3"),
  ];
  return [...(wanted.subnets ? [] : network), quotaLine("1 more", "Clusters, of 100", "eks", "L-1194D53C")];
}

function quotaLine(amount: string, name: string, service: string, code: string): string {
  return `  ${amount.padStart(WIDTH)}  ${name} (${service} ${code})`;
}
