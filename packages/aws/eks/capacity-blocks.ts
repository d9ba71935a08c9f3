import {
  type CapacityReservation,
  DescribeLaunchTemplateVersionsCommand,
  type EC2Client,
  paginateDescribeCapacityReservations,
  type ResponseLaunchTemplateData,
} from "@aws-sdk/client-ec2";
import type { Nodegroup } from "@aws-sdk/client-eks";
import { MINUTE_MS } from "#core/units.ts";
import { isBlock } from "./node-groups.ts";

/** The machine type and the times of a Capacity Block. */
export interface CapacityBlock {
  /** The only machine type of the block. Absent if its launch template names none. */
  readonly instanceType?: string | undefined;
  /** When its machines can be created first, ms. Absent if EC2 does not list the block. */
  readonly startsAt?: number | undefined;
  /** When EC2 begins to end its machines, ms. Absent if EC2 does not list the block. */
  readonly endsAt?: number | undefined;
}

/**
 * Time before the end of a block at which EC2 begins to end its machines (Amazon EC2 User Guide, "Capacity Blocks for
 * ML").
 */
const ENDS_BEFORE_MS = 30 * MINUTE_MS;

/**
 * Returns the Capacity Blocks of these groups, by the group's name. The launch template names the block (Amazon EKS User
 * Guide, "Create a managed node group with Capacity Blocks for ML"). Calls EC2 only if a group has a block.
 */
export async function findBlocks(
  ec2: EC2Client,
  groups: readonly Nodegroup[],
  abortSignal: AbortSignal,
): Promise<ReadonlyMap<string, CapacityBlock>> {
  const ofBlocks = groups.filter(isBlock);
  if (ofBlocks.length === 0) return new Map();
  const templates = await Promise.all(ofBlocks.map((group) => readTemplate(ec2, group, abortSignal)));
  const times = await readTimes(ec2, abortSignal);
  return new Map(
    ofBlocks.map(({ nodegroupName = "" }, at) => {
      const { InstanceType, CapacityReservationSpecification } = templates[at] ?? {};
      const id = CapacityReservationSpecification?.CapacityReservationTarget?.CapacityReservationId ?? "";
      return [nodegroupName, { instanceType: InstanceType, ...times.get(id) }];
    }),
  );
}

/** Returns the data of a group's launch template, or undefined if it is gone. */
async function readTemplate(
  ec2: EC2Client,
  { launchTemplate }: Nodegroup,
  abortSignal: AbortSignal,
): Promise<ResponseLaunchTemplateData | undefined> {
  if (!launchTemplate?.id || !launchTemplate.version) return undefined;
  const input = { LaunchTemplateId: launchTemplate.id, Versions: [launchTemplate.version] };
  try {
    const { LaunchTemplateVersions = [] } = await ec2.send(new DescribeLaunchTemplateVersionsCommand(input), {
      abortSignal,
    });
    return LaunchTemplateVersions[0]?.LaunchTemplateData;
  } catch (error) {
    // EKS reports a template that is gone as an issue of the group.
    if (/^InvalidLaunchTemplate(Id|Name)\./.test((error as Error).name)) return undefined;
    throw error;
  }
}

type Times = Pick<CapacityBlock, "startsAt" | "endsAt">;

/**
 * Returns the times of the account's Capacity Blocks by id. A call with ids would fail if one of them is gone. A block is
 * listed before its start (Amazon EC2 User Guide, "View Capacity Blocks").
 */
async function readTimes(ec2: EC2Client, abortSignal: AbortSignal): Promise<ReadonlyMap<string, Times>> {
  const input = { Filters: [{ Name: "end-date-type", Values: ["limited"] }] };
  const found: CapacityReservation[] = [];
  for await (const page of paginateDescribeCapacityReservations({ client: ec2 }, input, { abortSignal }))
    found.push(...(page.CapacityReservations ?? []));
  return new Map(
    found.flatMap(({ CapacityReservationId: id, ReservationType, StartDate, EndDate }): [string, Times][] => {
      if (id === undefined || ReservationType !== "capacity-block" || !EndDate) return [];
      return [[id, { startsAt: StartDate?.getTime(), endsAt: EndDate.getTime() - ENDS_BEFORE_MS }]];
    }),
  );
}
