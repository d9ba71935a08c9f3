import type { EC2Client } from "@aws-sdk/client-ec2";
import { EKSClient, type Issue, type Nodegroup } from "@aws-sdk/client-eks";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { readMakeable } from "#core/pools/ledger/ledger.ts";
import { type FakeAnswer, type FakeService, fakeKey, startFakeService } from "#tests/aws/fake-service.ts";
import { patient } from "#tests/aws/patient.ts";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { clientOptions } from "../client-options.ts";
import { ec2Clients } from "../ec2/ec2-client.ts";
import { eksMachineGroups } from "./eks-machine-groups.ts";

vi.hoisted(() => {
  process.env.MACHINE_TYPES = "p5-mig=h100-1g.10gb:56:192:2048:nvidia.com/mig-1g.10gb";
});

let eks: FakeService;
let ec2: FakeService;
let clients: { readonly eks: EKSClient; readonly ec2: EC2Client };
let groups: Map<string, Nodegroup>;
/** Names that are listed although they were deleted since. */
let stale: string[];

const json = (value: unknown, status = 200): FakeAnswer => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(value),
});

function refusal(code: string, status: number, message = code): FakeAnswer {
  return { ...json({ message, code }, status), headers: { "x-amzn-errortype": code } };
}

function answer(path: string): FakeAnswer {
  const name = /^\/clusters\/gpus\/node-groups\/([^?]+)/.exec(path)?.[1];
  if (name === undefined) return json({ nodegroups: [...groups.keys(), ...stale] });
  const nodegroup = groups.get(name);
  return nodegroup ? json({ nodegroup }) : refusal("ResourceNotFoundException", 404);
}

const subnets = `<DescribeSubnetsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><subnetSet>
  <item><subnetId>subnet-1</subnetId><availabilityZone>us-east-1b</availabilityZone></item>
  <item><subnetId>subnet-2</subnetId><availabilityZone>us-east-1a</availabilityZone></item>
</subnetSet></DescribeSubnetsResponse>`;

/** Capacity Blocks and other reservations, in the form of Amazon EC2 API Reference, "CapacityReservation". */
let reservations: { readonly id: string; readonly type: string; readonly start?: string; readonly end: string }[];
let areBlocksRefused: boolean;
/** The launch template's data, or undefined if it is gone. */
let template: string | undefined;

function answerEc2(action: string): FakeAnswer {
  const body = (name: string, content: string) => ({
    status: 200,
    body: `<${name}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">${content}</${name}Response>`,
  });
  if (action === "DescribeLaunchTemplateVersions") {
    if (template === undefined) return ec2Refusal("InvalidLaunchTemplateId.NotFound");
    const data = `<launchTemplateData>${template}</launchTemplateData>`;
    return body(action, `<launchTemplateVersionSet><item>${data}</item></launchTemplateVersionSet>`);
  }
  if (action !== "DescribeCapacityReservations") return { status: 200, body: subnets };
  if (areBlocksRefused) return ec2Refusal("UnauthorizedOperation");
  const items = reservations.map(({ id, type, start, end }) => {
    const begins = start === undefined ? "" : `<startDate>${start}</startDate>`;
    const ids = `<capacityReservationId>${id}</capacityReservationId><reservationType>${type}</reservationType>`;
    return `<item>${ids}${begins}<endDate>${end}</endDate></item>`;
  });
  return body(action, `<capacityReservationSet>${items.join("")}</capacityReservationSet>`);
}

const ec2Refusal = (code: string): FakeAnswer => ({
  status: 400,
  body: `<Response><Errors><Error><Code>${code}</Code><Message>${code}</Message></Error></Errors></Response>`,
});

beforeAll(async () => {
  eks = await startFakeService(
    "eks",
    (code) => refusal(code, 403),
    ({ path }) => answer(path),
  );
  ec2 = await startFakeService(
    "ec2",
    (code) => refusal(code, 403),
    ({ body }) => answerEc2(new URLSearchParams(body.toString()).get("Action") ?? ""),
  );
  const address = { region: "us-east-1", credentials: fakeKey };
  const { client } = ec2Clients({ ...address, endpoint: ec2.endpoint }, patient);
  clients = { eks: new EKSClient(clientOptions({ ...address, endpoint: eks.endpoint }, patient)), ec2: client };
});
beforeEach(() => {
  groups = new Map();
  reservations = [];
  areBlocksRefused = false;
  template = targetOf("cr-0123");
  stale = [];
});
afterAll(async () => {
  clients.eks.destroy();
  clients.ec2.destroy();
  await Promise.all([eks.stop(), ec2.stop()]);
});

const list = () => eksMachineGroups({ ...clients, cluster: "gpus" }).list();

function add(changes: Partial<Nodegroup>): void {
  groups.set("p5", {
    nodegroupName: "p5",
    status: "ACTIVE",
    instanceTypes: ["p5.48xlarge"],
    subnets: ["subnet-1", "subnet-2", "subnet-gone"],
    scalingConfig: { minSize: 0, desiredSize: 1, maxSize: 4 },
    ...changes,
  });
}

test("reads zones from subnets, and leaves out a subnet that is gone", async () => {
  add({});

  expect(await list()).toMatchObject([{ name: "p5", zones: ["us-east-1a", "us-east-1b"], mostNodes: 4 }]);
});

test("a run may name a group whose tag says that the autoscaler knows its label", async () => {
  const selectable = async (tags: Readonly<Record<string, string>> | undefined) => {
    add({ tags });
    return (await list())?.[0]?.isSelectable;
  };

  expect(await selectable({ "berth:selectable": "true" })).toBe(true);
  expect(await selectable({ "berth:selectable": "false" })).toBeUndefined();
  expect(await selectable(undefined)).toBeUndefined();
});

test("a label that NODE_TYPES gives to a type of MACHINE_TYPES counts before AWS's type", async () => {
  const nodeTypes = [
    { label: "box", value: null, instanceType: "p4d.24xlarge" },
    { label: "nvidia.com/mig.config", value: "all-1g.10gb", instanceType: "p5-mig" },
  ];
  const typesWith = async (labels: Readonly<Record<string, string>>) => {
    add({ labels });
    const listed = await eksMachineGroups({ ...clients, cluster: "gpus", nodeTypes }).list();
    return listed?.[0]?.instanceTypes;
  };

  expect(await typesWith({ "nvidia.com/mig.config": "all-1g.10gb" })).toEqual(["p5-mig"]);
  expect(await typesWith({ "nvidia.com/mig.config": "all-2g.20gb" })).toEqual(["p5.48xlarge"]);
  expect(await typesWith({ box: "1" })).toEqual(["p5.48xlarge"]);
});

const targetOf = (id: string) =>
  `<instanceType>p5.48xlarge</instanceType><capacityReservationSpecification><capacityReservationTarget><capacityReservationId>${id}</capacityReservationId></capacityReservationTarget></capacityReservationSpecification>`;
const ofBlock = {
  capacityType: "CAPACITY_BLOCK",
  instanceTypes: undefined,
  launchTemplate: { id: "lt-0123", version: "2" },
} as const;

test("a Capacity Block gives its group the machine type, and an end when EC2 begins to end its machines", async () => {
  add(ofBlock);
  reservations = [
    { id: "cr-other", type: "capacity-block", end: "2026-01-20T11:30:00.000Z" },
    { id: "cr-0123", type: "capacity-block", end: "2026-01-21T11:30:00.000Z" },
  ];

  expect(await list()).toMatchObject([
    { name: "p5", instanceTypes: ["p5.48xlarge"], endsAt: Date.UTC(2026, 0, 21, 11) },
  ]);
});

test("a Capacity Block gives its group the time of its start", async () => {
  add(ofBlock);
  const [start, end] = ["2026-01-20T11:30:00.000Z", "2026-01-21T11:30:00.000Z"];
  reservations = [{ id: "cr-0123", type: "capacity-block", start, end }];

  expect(await list()).toMatchObject([{ name: "p5", startsAt: Date.UTC(2026, 0, 20, 11, 30) }]);
});

test.each<[string, () => void]>([
  ["EC2 lists no such block", () => undefined],
  [
    "it is an On-Demand reservation",
    () => reservations.push({ id: "cr-0123", type: "default", end: "2026-01-21T11:30:00.000Z" }),
  ],
  [
    "its launch template is gone",
    () => {
      template = undefined;
    },
  ],
  [
    "its launch template names no block",
    () => {
      template = "<instanceType>p5.48xlarge</instanceType>";
    },
  ],
])("a group of Capacity Blocks has no end if %s", async (_, change) => {
  add(ofBlock);
  change();

  const [listed] = (await list()) ?? [];

  expect(listed).toMatchObject({ name: "p5", instanceTypes: template === undefined ? [] : ["p5.48xlarge"] });
  expect(listed).not.toHaveProperty("endsAt");
  expect(listed).not.toHaveProperty("startsAt");
});

test("a refused question for Capacity Blocks fails the list, so that the last answer stays", async () => {
  add(ofBlock);
  areBlocksRefused = true;

  await expect(list()).rejects.toThrow();
});

test("groups without a Capacity Block ask EC2 only for subnets", async () => {
  add({});
  const asked = ec2.calls.length;

  await list();

  expect(ec2.calls.length - asked).toBe(1);
});

test("a group with its machine type in a launch template has no types", async () => {
  add({ instanceTypes: undefined });

  expect(await list()).toMatchObject([{ name: "p5", instanceTypes: [] }]);
});

test.each<[Nodegroup["status"], boolean]>([
  ["ACTIVE", true],
  ["UPDATING", true],
  ["DEGRADED", true],
  ["CREATING", false],
  ["CREATE_FAILED", false],
  ["DELETING", false],
  ["DELETE_FAILED", false],
])("a group that is %s creates machines: %s", async (status, isActive) => {
  add({ status });

  expect(await list()).toMatchObject([{ isActive }]);
});

/** The forms of messages are those of Amazon EKS User Guide, "Troubleshoot problems with node groups". */
const launch = (text: string): Issue => ({
  code: "AsgInstanceLaunchFailures",
  message: `Could not launch On-Demand Instances. ${text} Launching EC2 instance failed.`,
  resourceIds: ["eks-p5-1234"],
});

test.each<[string, Issue, string | undefined]>([
  [
    "no machines in a zone",
    launch("InsufficientInstanceCapacity - We currently do not have sufficient p5.48xlarge capacity."),
    "machines",
  ],
  ["no spot machines", launch("UnfulfillableCapacity - Unable to fulfill capacity."), "machines"],
  [
    "the account's quota of vCPUs",
    launch("VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU limit of 0 allows."),
    "quota",
  ],
  ["the quota of spot machines", launch("MaxSpotInstanceCountExceeded - Max spot instance count exceeded."), "quota"],
  ["no address at a launch", launch("InsufficientFreeAddressesInSubnet - Not enough free addresses."), "addresses"],
  ["another failed launch", launch("InvalidParameterValue - Value () is invalid."), "other"],
  ["a full subnet", { code: "InsufficientFreeAddresses", message: "subnet-1" }, "addresses"],
  ["the limit of instances", { code: "InstanceLimitExceeded", message: "" }, "quota"],
  ["a missing launch template", { code: "Ec2LaunchTemplateNotFound", message: "" }, "other"],
  ["a node that does not join", { code: "NodeCreationFailure", message: "Unhealthy nodes" }, undefined],
  ["an eviction that failed", { code: "PodEvictionFailure", message: "Reached max retries" }, undefined],
])("reads from a health issue about %s what the group lacks", async (_, issue, lacks) => {
  add({ status: "DEGRADED", health: { issues: [issue] } });

  expect((await list())?.map((group) => group.lacks)).toEqual([lacks]);
});

/** A message that EKS has given, with the zones that still have machines. */
const inZone = (zone: string, others: string) =>
  launch(
    `InsufficientInstanceCapacity - We currently do not have sufficient p5.48xlarge capacity in the Availability Zone you requested (${zone}). Our system will be working on provisioning additional capacity. You can currently get p5.48xlarge capacity by not specifying an Availability Zone in your request or choosing ${others}.`,
  );
const fullSubnets = (...resourceIds: string[]): Issue => {
  return { code: "InsufficientFreeAddresses", message: "Not enough free addresses", resourceIds };
};

test.each<[string, Issue[], string | undefined, string[] | undefined]>([
  ["one zone", [inZone("us-east-1a", "us-east-1b, us-east-1c")], "machines", ["us-east-1a"]],
  ["one subnet", [fullSubnets("subnet-1")], "addresses", ["us-east-1b"]],
  ["all zones", [inZone("us-east-1a", "us-east-1c"), inZone("us-east-1b", "us-east-1c")], "machines", undefined],
  ["a zone of another group", [inZone("us-east-1c", "us-east-1a")], "machines", undefined],
  ["a subnet that is gone", [{ ...fullSubnets("subnet-gone"), code: "Ec2SubnetNotFound" }], "other", undefined],
  [
    "one zone, beside one of the whole group",
    [inZone("us-east-1a", ""), launch("VcpuLimitExceeded")],
    "quota",
    undefined,
  ],
  [
    "one zone, beside a node that does not join",
    [fullSubnets("subnet-1"), { code: "NodeCreationFailure" }],
    "addresses",
    ["us-east-1b"],
  ],
])(
  "a health issue that names %s is one of these zones, or else of the whole group",
  async (_, issues, lacks, lacksIn) => {
    add({ status: "DEGRADED", health: { issues } });

    const [listed] = (await list()) ?? [];

    expect([listed?.lacks, listed?.lacksIn]).toEqual([lacks, lacksIn]);
  },
);

test.each<[string, string | undefined, "NoSchedule" | undefined, boolean]>([
  ["of its key", undefined, undefined, true],
  ["of its key, value and effect", "ml", "NoSchedule", true],
  ["of another value", "web", undefined, false],
])(
  "a group whose taint a toleration %s matches admits runs: it does so with %s, %s: %s",
  async (_, value, effect, is) => {
    add({ taints: [{ key: "team", value: "ml", effect: "NO_SCHEDULE" }] });
    const tolerations = [{ key: "team", value, effect }];

    expect(await list()).toMatchObject([{ admitsRuns: false }]);
    expect(await eksMachineGroups({ ...clients, cluster: "gpus", tolerations }).list()).toMatchObject([
      { admitsRuns: is },
    ]);
  },
);

test.each<[Record<string, string>, boolean]>([
  [{ pool: "research" }, true],
  [{ pool: "research", "node.kubernetes.io/instance-type": "p5.48xlarge" }, true],
  [{ pool: "web" }, false],
  [{ team: "research" }, false],
  [{ "example.com/kubernetes.io": "a" }, false],
])("a group with the label pool=research admits runs that select %j: %s", async (nodeSelector, admitsRuns) => {
  add({ labels: { pool: "research" } });

  expect(await eksMachineGroups({ ...clients, cluster: "gpus", nodeSelector }).list()).toMatchObject([{ admitsRuns }]);
});

test("leaves out a group that was deleted after it was listed", async () => {
  add({});
  stale = ["deleted"];

  expect((await list())?.map(({ name }) => name)).toEqual(["p5"]);
});

test("throws if one group is refused, instead of leaving it out", async () => {
  add({});
  eks.trouble([json({ nodegroups: ["p5"] }), refusal("AccessDeniedException", 403)]);

  await expect(list()).rejects.toMatchObject({ name: "AccessDeniedException" });
});

test("throws for a cluster that does not exist, instead of reporting that it has no groups", async () => {
  eks.trouble([refusal("ResourceNotFoundException", 404, "No cluster found for name: gpus.")]);

  await expect(list()).rejects.toMatchObject({ name: "ResourceNotFoundException" });
});

test("retries a throttled call, and throws if it stays throttled", async () => {
  add({});
  const throttled = refusal("ThrottlingException", 429, "Rate exceeded");
  eks.trouble([json({ nodegroups: ["p5"] }), throttled]);
  expect(await list()).toHaveLength(1);

  eks.trouble([json({ nodegroups: ["p5"] }), throttled, throttled, throttled]);
  await expect(list()).rejects.toMatchObject({ name: "ThrottlingException" });
});

test("throws if the zones are refused", async () => {
  add({});
  const body = "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors></Response>";
  ec2.trouble([{ status: 403, body }]);

  await expect(list()).rejects.toMatchObject({ name: "UnauthorizedOperation" });
});

/** Counts the calls of a deployment's hour by what they ask, a minute after its start. */
async function callsPerHour(machines: number, jobs: number) {
  const world = await memoryWorld({ nodes: newNodes({ h100: machines }) });
  Object.assign(world.ctx, { machineGroups: eksMachineGroups({ ...clients, cluster: "gpus" }) });
  for (let job = 0; job < jobs; job += 1) await createEnvironment(world.as("alice"), newEnvironment(`job-${job}`));
  await world.advance(60_000);
  const before = [eks.calls.length, ec2.calls.length];
  for (let minute = 0; minute < 60; minute += 1) await world.advance(60_000);
  const names = [
    ...eks.calls.slice(before[0]).map(({ path }) => (path.endsWith("/node-groups") ? "List" : "Describe")),
    ...ec2.calls.slice(before[1]).map(({ body }) => new URLSearchParams(body.toString()).get("Action") ?? ""),
  ];
  const counts = [...Map.groupBy(names, (name) => name)].map(([name, { length }]) => [name, length]);
  return { calls: Object.fromEntries(counts), tries: (await readMakeable(world.ctx, "h100")).shortage?.count ?? 0 };
}

test.each([
  ["an idle deployment", 1, 0],
  ["a deployment with a job", 1, 1],
])(
  "an hour of %s costs a list of the node groups every five minutes, and a call for each group",
  async (_, machines, jobs) => {
    add({});
    const [p5] = groups.values();
    if (p5)
      for (const name of ["g5", "g6"])
        groups.set(name, { ...p5, nodegroupName: name, instanceTypes: [`${name}.48xlarge`] });

    const { calls } = await callsPerHour(machines, jobs);

    expect(calls).toEqual({ List: 12, Describe: 3 * 12, DescribeSubnets: 12 });
  },
);

test("an hour in which a job waits for a machine that does not come costs at most one more list for each try", async () => {
  add({ scalingConfig: { minSize: 0, desiredSize: 0, maxSize: 1 } });

  const { calls, tries } = await callsPerHour(0, 1);

  expect(tries).toBeGreaterThan(1);
  expect(calls.List).toBeLessThanOrEqual(12 + tries);
  expect(calls).toEqual({ List: calls.List, Describe: calls.List, DescribeSubnets: calls.List });
});
