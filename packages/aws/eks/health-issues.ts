import type { Issue } from "@aws-sdk/client-eks";
import type { Lack, MachineGroup } from "#core/ports/machine-groups.ts";

/** Issues that keep a group from creating machines (Amazon EKS API Reference, "Issue"). */
const lackOfCode: Readonly<Record<string, Lack>> = {
  InstanceLimitExceeded: "quota",
  InsufficientFreeAddresses: "addresses",
  AutoScalingGroupNotFound: "other",
  Ec2LaunchTemplateNotFound: "other",
  Ec2SecurityGroupNotFound: "other",
  Ec2SubnetNotFound: "other",
  IamInstanceProfileNotFound: "other",
};

/** The codes of EC2 in the message of a failed launch (Amazon EC2 API Reference, error codes). */
const lackOfLaunch: readonly (readonly [RegExp, Lack])[] = [
  [/InsufficientInstanceCapacity|InsufficientHostCapacity|InsufficientCapacity|UnfulfillableCapacity/, "machines"],
  [/LimitExceeded|MaxSpotInstanceCountExceeded/, "quota"],
  [/InsufficientFreeAddresses/, "addresses"],
];

/** Returns what a group lacks to create a machine according to a health issue. */
export function findLack({ code, message = "" }: Issue): Lack | undefined {
  if (code !== "AsgInstanceLaunchFailures") return lackOfCode[code ?? ""];
  return lackOfLaunch.find(([pattern]) => pattern.test(message))?.[1] ?? "other";
}

/**
 * Returns what a group lacks according to its health issues, and in which of its zones. One issue that names none of them
 * is of the whole group. `zones` are those of its subnets, by subnet.
 */
export function findLacks(
  issues: readonly Issue[],
  zones: ReadonlyMap<string, string>,
): Pick<MachineGroup, "lacks" | "lacksIn"> {
  const found = issues.flatMap((issue) => {
    const lacks = findLack(issue);
    return lacks === undefined ? [] : [{ lacks, zones: findZones(issue, zones) }];
  });
  const [first] = found;
  if (!first) return {};
  const ofGroup = found.find((issue) => issue.zones.length === 0);
  if (ofGroup) return { lacks: ofGroup.lacks };
  const lacksIn = [...new Set(found.flatMap((issue) => issue.zones))].sort();
  const isWhole = new Set(zones.values()).size === lacksIn.length;
  return { lacks: first.lacks, ...(!isWhole && { lacksIn }) };
}

/** Availability Zones and Local Zones, such as us-east-1a and us-west-2-lax-1a. */
const ZONE = /\b[a-z]{2,4}(?:-[a-z]+)+-\d(?:-[a-z]+-\d)?[a-z]\b/g;
const SUBNET = /\bsubnet-\w+/g;
/** EC2 goes on with zones that have machines. */
const OTHER_ZONES = /You can currently get.*$/s;

/** Lists the zones of the group that an issue names, itself or by a subnet. */
function findZones({ message = "", resourceIds = [] }: Issue, zones: ReadonlyMap<string, string>): string[] {
  const text = [message.replace(OTHER_ZONES, ""), ...resourceIds].join(" ");
  const bySubnet = (text.match(SUBNET) ?? []).flatMap((subnet) => zones.get(subnet) ?? []);
  const own = new Set(zones.values());
  return [...(text.match(ZONE) ?? []).filter((zone) => own.has(zone)), ...bySubnet];
}
