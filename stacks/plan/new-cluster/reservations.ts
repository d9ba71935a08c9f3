import { type CapacityReservation, type EC2Client, paginateDescribeCapacityReservations } from "@aws-sdk/client-ec2";
import { checkAnswer } from "../../../packages/aws/cluster-check/findings.ts";
import type { ClusterReport, Finding } from "../../../packages/core/ports/cluster-report.ts";
import type { NodeGroup } from "../../cluster/node-group-schema.ts";
import type { NewCluster } from "../../cluster/settings.ts";
import type { Environment } from "../aws-client.ts";
import { askEc2 } from "./ask-account.ts";

/** Returns the reservations and Capacity Blocks of groups that cannot have machines for their group. */
export async function checkReservations({ groups }: NewCluster, environment: Environment): Promise<ClusterReport> {
  const reserved = groups.filter((group) => getId(group) !== undefined);
  return checkAnswer(
    "reservations and Capacity Blocks of groups",
    await askEc2(environment, listReservations),
    (found) => ({
      findings: reserved.flatMap((group) => findProblem(group, found.get(getId(group) ?? ""))),
      leftOut: [],
    }),
  );
}

export function hasReservations({ groups }: NewCluster): boolean {
  return groups.some((group) => getId(group) !== undefined);
}

function getId({ reservation, capacityBlock }: NodeGroup): string | undefined {
  return capacityBlock ?? reservation;
}

/** Lists all reservations of the account. A call with ids fails as a whole if one of them is gone. */
async function listReservations(client: EC2Client): Promise<ReadonlyMap<string, CapacityReservation>> {
  const found = new Map<string, CapacityReservation>();
  for await (const { CapacityReservations = [] } of paginateDescribeCapacityReservations({ client }, {}))
    for (const each of CapacityReservations) found.set(each.CapacityReservationId ?? "", each);
  return found;
}

/** States in which a reservation has no capacity and never will (Amazon EC2 API Reference, "CapacityReservation"). */
const OVER = ["expired", "cancelled", "cancelling", "failed", "payment-failed", "unsupported"];

const OTHER = "Name another one, or remove the group: docs/own-cluster.md#change-upgrade-remove";

function findProblem(group: NodeGroup, found: CapacityReservation | undefined): Finding[] {
  const what = `${getId(group)} of group ${group.name} (EKS_NODE_GROUPS)`;
  const [problem] = found ? listProblems(group, found) : [unknown];
  return problem ? [{ what, ...problem }] : [];
}

type Problem = Pick<Finding, "missing" | "todo">;

const unknown: Problem = {
  missing: "EC2 lists no such reservation in this account and region",
  todo: "Correct the id, AWS_REGION or DEPLOY_ACCOUNT",
};

const LINUX = "Linux/UNIX";

function listProblems({ type, zones, max, capacityBlock }: NodeGroup, found: CapacityReservation): Problem[] {
  const { State = "", EndDate, InstanceType = type, AvailabilityZone: zone = "", ReservationType } = found;
  const { InstancePlatform: platform = LINUX, Tenancy: tenancy = "default", TotalInstanceCount: size = max } = found;
  const isBlock = ReservationType === "capacity-block";
  const isElsewhere = zone !== "" && !zones.includes(zone);
  return [
    ...(OVER.includes(State) ? [{ missing: `it is over: its state is ${State}`, todo: OTHER }] : []),
    ...(EndDate && EndDate.getTime() <= Date.now()
      ? [{ missing: `it is over since ${EndDate.toISOString()}`, todo: OTHER }]
      : []),
    ...(isBlock && !capacityBlock ? [{ missing: "it is a Capacity Block", todo: "Name it as capacityBlock" }] : []),
    ...(!isBlock && capacityBlock ? [{ missing: "it is no Capacity Block", todo: "Name it as reservation" }] : []),
    ...(InstanceType === type
      ? []
      : [{ missing: `it has machines of ${InstanceType}, and the group ${type}`, todo: OTHER }]),
    ...(isElsewhere ? [{ missing: `it is in ${zone}, and the group in ${zones.join(", ")}`, todo: OTHER }] : []),
    // EC2 uses a reservation only for machines of its platform and tenancy, which for a node group are these.
    ...(platform === LINUX
      ? []
      : [{ missing: `it is for ${platform}, and machines of EKS are ${LINUX}`, todo: OTHER }]),
    ...(tenancy === "default" ? [] : [{ missing: `its tenancy is ${tenancy}, and the group's default`, todo: OTHER }]),
    // A launch that names a reservation fails when no machine of it is free.
    ...(size < max
      ? [
          {
            missing: `it has ${size} ${size === 1 ? "machine" : "machines"}, and the group up to ${max}`,
            todo: "Lower max, or enlarge it",
          },
        ]
      : []),
  ];
}
