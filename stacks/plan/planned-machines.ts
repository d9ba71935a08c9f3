import type { NodeGroup } from "../cluster/node-group-schema.ts";
import { getType, SYSTEM_DISK_GB, SYSTEM_MACHINES, SYSTEM_TYPE } from "../cluster/node-groups.ts";
import type { NewCluster } from "../cluster/settings.ts";
import type { QuotaNeed } from "./quota-check.ts";

/** Machines of one type that one setting makes. */
export interface Machines {
  readonly what: string;
  readonly type: string;
  readonly vcpus: number;
  /** Disk of each machine. */
  readonly diskGb: number;
  readonly least: number;
  readonly most: number;
  readonly bought: Bought;
}

export type Bought = "on demand" | "spot" | "reservation" | "capacity block";

export function listMachines({ groups }: NewCluster): Machines[] {
  const { minSize: least, maxSize: most } = SYSTEM_MACHINES;
  const system = {
    what: "the cluster's own pods",
    type: SYSTEM_TYPE,
    vcpus: 2,
    diskGb: SYSTEM_DISK_GB,
    least,
    most,
    bought: "on demand",
  } as const;
  return [system, ...groups.map(toMachines)];
}

function toMachines(group: NodeGroup): Machines {
  const { name, type, min, max, zones, efa, diskGb } = group;
  return {
    what: `group ${name}${efa ? " with EFA" : ""} in ${zones.join(", ")} (EKS_NODE_GROUPS)`,
    type,
    vcpus: getType(type).vcpus,
    diskGb,
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

/**
 * Service Quotas, "Amazon Elastic Compute Cloud (Amazon EC2)": vCPUs of all machines of such families. EC2 User Guide,
 * "Spot Instance quotas", names no quota for P6.
 */
const vcpuQuotas: readonly (readonly [family: RegExp, spot: boolean, name: string, code: string | undefined])[] = [
  [/^p/, false, "Running On-Demand P instances", "L-417A185B"],
  [/^p[2-4]/, true, "All P4, P3 and P2 Spot Instance Requests", "L-7212CCBC"],
  [/^p5/, true, "All P5 Spot Instance Requests", "L-C4BD4855"],
  [/^p(?![2-5])/, true, "Spot Instance Requests of newer P instances", undefined],
  [/^g/, false, "Running On-Demand G and VT instances", "L-DB2E81BA"],
  [/^g/, true, "All G and VT Spot Instance Requests", "L-3819A6DF"],
  [/^(?!trn|inf)[acdhimrtz]/, false, "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", "L-1216C47A"],
  [/^(?!trn|inf)[acdhimrtz]/, true, "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", "L-34B43A08"],
];

/** A Capacity Block counts towards no such quota. */
export function findVcpuNeeds(wanted: NewCluster): QuotaNeed[] {
  const machines = listMachines(wanted);
  return vcpuQuotas.flatMap(([family, isSpot, name, code]) => {
    const counted = machines.filter(({ type, bought }) => {
      return family.test(type) && bought !== "capacity block" && (bought === "spot") === isSpot;
    });
    const vcpus = counted.reduce((sum, { most, vcpus: each }) => sum + most * each, 0);
    const reason = `the groups of this stage need ${vcpus} at their most`;
    return vcpus === 0 ? [] : [{ service: "ec2", name, code, least: vcpus, unit: "vCPUs", reason }];
  });
}

const GB_OF_TIB = 1_024;

/** Amazon EBS User Guide, "Quotas for Amazon EBS". Disks of jobs count too, and their sizes are not known. */
export function findDiskNeed(wanted: NewCluster): QuotaNeed {
  const gb = listMachines(wanted).reduce((sum, { most, diskGb }) => sum + most * diskGb, 0);
  return {
    service: "ebs",
    name: "Storage for General Purpose SSD (gp3) volumes, in TiB",
    code: "L-7A658B76",
    least: Math.ceil(gb / GB_OF_TIB),
    unit: "TiB",
    reason: `the machines of this stage have ${gb} GB of disks at their most, beside the disks of jobs`,
  };
}
