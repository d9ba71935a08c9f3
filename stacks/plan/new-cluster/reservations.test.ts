import { afterEach, expect, test, vi } from "vitest";
import { newClusterSettings } from "#tests/synthesis/new-cluster-settings.ts";
import { readStage } from "../../stage.ts";
import { startEc2 } from "./ec2-fixture.ts";
import { checkReservations, hasReservations } from "./reservations.ts";

const block = {
  capacityReservationId: "cr-0123456789abcdef0",
  reservationType: "capacity-block",
  instanceType: "p5e.48xlarge",
  availabilityZone: "us-east-1b",
  state: "active",
  endDate: "2199-01-21T11:30:00.000Z",
};
const reservation = {
  capacityReservationId: "cr-0fedcba9876543210",
  reservationType: "default",
  instanceType: "p4d.24xlarge",
  availabilityZone: "us-east-1a",
  state: "active",
};

afterEach(() => vi.unstubAllEnvs());

function readNewCluster(settings: Readonly<Record<string, string>> = newClusterSettings) {
  const { newCluster } = readStage("dev", settings);
  if (!newCluster) throw new Error("The stage makes no cluster");
  return newCluster;
}

async function check(capacityReservationSet: readonly object[], more = {}) {
  const environment = await startEc2({ DescribeCapacityReservations: () => ({ capacityReservationSet }) });
  for (const [name, value] of Object.entries({ ...environment, ...more })) vi.stubEnv(name, value);
  return checkReservations(readNewCluster(), { AWS_REGION: "us-east-1" });
}

test.each(["active", "pending", "scheduled", "payment-pending", "assessing", "delayed"])(
  "a reservation in the state %s has no finding",
  async (state) => {
    const other = { ...block, capacityReservationId: "cr-0other", state: "failed" };

    expect(await check([{ ...block, state }, other, reservation])).toEqual({ findings: [], leftOut: [] });
  },
);

const another = "Name another one, or remove the group: docs/own-cluster.md#change-upgrade-remove";

test.each([
  [{ state: "expired" }, "it is over: its state is expired", another],
  [{ state: "cancelled" }, "it is over: its state is cancelled", another],
  [{ state: "failed" }, "it is over: its state is failed", another],
  [{ state: "payment-failed" }, "it is over: its state is payment-failed", another],
  [{ state: "unsupported" }, "it is over: its state is unsupported", another],
  [{ endDate: "2026-01-21T11:30:00.000Z" }, "it is over since 2026-01-21T11:30:00.000Z", another],
  [{ reservationType: "default" }, "it is no Capacity Block", "Name it as reservation"],
  [{ instanceType: "p5.48xlarge" }, "it has machines of p5.48xlarge, and the group p5e.48xlarge", another],
  [{ availabilityZone: "us-east-1a" }, "it is in us-east-1a, and the group in us-east-1b", another],
  [{ instancePlatform: "Windows" }, "it is for Windows, and machines of EKS are Linux/UNIX", another],
  [{ tenancy: "dedicated" }, "its tenancy is dedicated, and the group's default", another],
  [{ totalInstanceCount: 1 }, "it has 1 machine, and the group up to 4", "Lower max, or enlarge it"],
  [
    { capacityReservationId: "cr-0other" },
    "EC2 lists no such reservation in this account and region",
    "Correct the id, AWS_REGION or DEPLOY_ACCOUNT",
  ],
])("a Capacity Block with %j is found, with what to do", async (change, missing, todo) => {
  const { findings, leftOut } = await check([{ ...block, ...change }, reservation]);

  expect(leftOut).toEqual([]);
  expect(findings).toEqual([{ what: "cr-0123456789abcdef0 of group block (EKS_NODE_GROUPS)", missing, todo }]);
});

test("a Capacity Block that is named as a reservation is found", async () => {
  const { findings } = await check([block, { ...reservation, reservationType: "capacity-block" }]);

  expect(findings).toEqual([
    {
      what: "cr-0fedcba9876543210 of group a100 (EKS_NODE_GROUPS)",
      missing: "it is a Capacity Block",
      todo: "Name it as capacityBlock",
    },
  ]);
});

test("without the right to ask EC2, the reservations are left out", async () => {
  const { findings, leftOut } = await check([], { AWS_ACCESS_KEY_ID: "AKIAOTHER" });

  expect(findings).toEqual([]);
  expect(leftOut).toMatchObject([
    { what: "reservations and Capacity Blocks of groups", why: expect.stringContaining("EC2 gave no answer (") },
  ]);
});

test("a cluster without reservations needs no such check", () => {
  const group = { name: "cpu", type: "c7i.8xlarge", max: 1, zones: ["us-east-1a"] };

  expect(hasReservations(readNewCluster())).toBe(true);
  expect(hasReservations(readNewCluster({ ...newClusterSettings, EKS_NODE_GROUPS: JSON.stringify([group]) }))).toBe(
    false,
  );
});
