import { expect, test, vi } from "vitest";
import { stageSettings } from "#tests/synthesis/stage-settings.ts";
import { readStage } from "../stage.ts";

vi.hoisted(() => {
  process.env.MACHINE_TYPES = "p5en.48xlarge=h200-p5en:8:192:2048,trn1.32xlarge=trn:16:128:512:aws.amazon.com/neuron";
});

const h100 = { name: "h100", type: "p5.48xlarge", max: 2, zones: ["us-east-1a"] };
const input = { ...stageSettings, EKS_CLUSTER: "new", EKS_ZONES: "us-east-1a,us-east-1b" };
const withGroups = (...groups: object[]) => ({ ...input, EKS_NODE_GROUPS: JSON.stringify(groups) });
const read = (environment: Readonly<Record<string, string>>) => readStage("dev", environment);

test("a stage with EKS_CLUSTER=new has a cluster of its own name, which its functions are told", () => {
  const stage = read(withGroups(h100, { ...h100, name: "cpu", type: "c7i.8xlarge", zones: ["us-east-1b"], min: 1 }));

  expect(stage.eksCluster).toBe("berth-dev");
  expect(stage.settings.EKS_CLUSTER).toBe("berth-dev");
  expect(stage.settings).not.toHaveProperty("NODE_GROUPS");
  expect(stage.newCluster).toMatchObject({
    zones: ["us-east-1a", "us-east-1b"],
    subnets: undefined,
    isPrivate: false,
    isProtected: true,
    groups: [
      { name: "h100", min: 0, max: 2, spot: false, efa: false },
      { name: "cpu", min: 1 },
    ],
  });
});

test("a new cluster is never the default", () => {
  expect(read(stageSettings).newCluster).toBeUndefined();
});

test("a new cluster takes subnets, a private endpoint, and the end of its protection", () => {
  const more = { VPC_SUBNETS: "subnet-1,subnet-2", EKS_ACCESS: "private", EKS_PROTECT: "0" };
  const stage = read({ ...withGroups(h100), ...more });

  expect(stage.newCluster).toMatchObject({ subnets: ["subnet-1", "subnet-2"], isPrivate: true, isProtected: false });
  expect(stage.network).toBeUndefined();
});

test("a new cluster has machines that MACHINE_TYPES adds, in capacity blocks and with EFA too", () => {
  const p5en = { ...h100, name: "h200", type: "p5en.48xlarge", capacityBlock: "cr-0123456789abcdef0", efa: true };

  expect(read(withGroups(p5en)).newCluster?.groups).toMatchObject([p5en]);
});

test.each([
  ["all groups of a type have EFA", [{ efa: true }], "p5.48xlarge=vpc.amazonaws.com/efa:32"],
  ["a group of the type has none, on which it could start", [{ efa: true }, { name: "old" }], undefined],
  [
    "a group of another type has none",
    [{ efa: true }, { name: "a10g", type: "g5.12xlarge" }],
    "p5.48xlarge=vpc.amazonaws.com/efa:32",
  ],
  ["no group has EFA", [{}], undefined],
])("what a job requests of a machine that does not exist yet, if %s", (_, changes, resources) => {
  const { settings } = read(withGroups(...changes.map((change) => ({ ...h100, ...change }))));

  expect(settings.NEW_MACHINE_RESOURCES).toBe(resources);
});

test("the setting for new machines counts before the groups with EFA", () => {
  const NEW_MACHINE_RESOURCES = "p5.48xlarge=vpc.amazonaws.com/efa:31";

  expect(read({ ...withGroups({ ...h100, efa: true }), NEW_MACHINE_RESOURCES }).settings).toMatchObject({
    NEW_MACHINE_RESOURCES,
  });
});

test.each<[problem: string, group: object]>([
  ["EKS_NODE_GROUPS[0].max: Too small", { max: 0 }],
  ["EKS_NODE_GROUPS[0].type: Invalid option", { type: "p3.2xlarge" }],
  ["EKS_NODE_GROUPS[0].zones[0]: must be zones like us-east-1a", { zones: ["us-east-1-bos-1a"] }],
  ["EKS_NODE_GROUPS[0].name: must be 1 to 32 of", { name: "system" }],
  ["EKS_NODE_GROUPS[0].reservation: must be an id like cr-", { reservation: "resgroup" }],
  ['EKS_NODE_GROUPS[0]: Unrecognized key: "count"', { count: 1 }],
  ["group h100 has min 3 above max 2", { min: 3 }],
  ["group h100 is in us-east-1c, which EKS_ZONES does not name", { zones: ["us-east-1c"] }],
  ["group h100 names a zone twice", { zones: ["us-east-1a", "us-east-1a"] }],
  ["group h100 has spot and capacityBlock: choose one", { spot: true, capacityBlock: "cr-0123456789abcdef0" }],
  [
    "group h100 has reservation and capacityBlock: choose one",
    { reservation: "cr-01234567", capacityBlock: "cr-0123456789abcdef0" },
  ],
  [
    "group h100 has a reservation, which is in one zone only",
    { reservation: "cr-01234567", zones: ["us-east-1a", "us-east-1b"] },
  ],
  [
    "group h100 has a capacityBlock, and AWS has none of g5.12xlarge",
    { type: "g5.12xlarge", capacityBlock: "cr-01234567" },
  ],
  ["group h100 has efa, and Berth knows no EFA interfaces of g5.12xlarge", { type: "g5.12xlarge", efa: true }],
  ["group h100 has efa, and Berth knows no EFA interfaces of c7i.8xlarge", { type: "c7i.8xlarge", efa: true }],
  ["group h100 has a capacityBlock, so min must be 0", { min: 1, capacityBlock: "cr-01234567" }],
  ["group h100 has ami AL2023_x86_64_STANDARD, which does not suit p5.48xlarge", { ami: "AL2023_x86_64_STANDARD" }],
  ["does not suit c7g.8xlarge: leave it out for AL2023_ARM_64", { type: "c7g.8xlarge", ami: "BOTTLEROCKET_x86_64" }],
  ["group h100 has type trn1.32xlarge, whose GPUs are aws.amazon.com/neuron", { type: "trn1.32xlarge" }],
  ["does not suit m7i.8xlarge", { type: "m7i.8xlarge", ami: "AL2023_x86_64_NVIDIA" }],
])("a group is refused with: %s", (problem, change) => {
  expect(() => read(withGroups({ ...h100, ...change }))).toThrow(problem);
});

test.each<[problem: string, more: Readonly<Record<string, string>>]>([
  ["EKS_NODE_GROUPS must be JSON like [", { EKS_NODE_GROUPS: "h100=2" }],
  ["EKS_NODE_GROUPS names the group h100 twice", { EKS_NODE_GROUPS: JSON.stringify([h100, h100]) }],
  ["EKS_CLUSTER=new needs EKS_NODE_GROUPS", { EKS_NODE_GROUPS: "" }],
  ["EKS_CLUSTER=new needs EKS_ZONES, two zones or more", { EKS_ZONES: "us-east-1a" }],
  ["EKS_CLUSTER=new needs EKS_ZONES, two zones or more", { EKS_ZONES: "us-east-1a,us-east-1a" }],
  ["EKS_CLUSTER=new needs EKS_ZONES, two zones or more", { EKS_ZONES: "us-east-1a,us-east-1b,us-east-1b" }],
  ["EKS_ZONES has us-west-2b, which is not in the region us-east-1", { EKS_ZONES: "us-east-1a,us-west-2b" }],
  ["EKS_ZONES has us-east-1a, us-east-1b, which is not in the region eu-west-1", { AWS_REGION: "eu-west-1" }],
  ["EKS_PROTECT must be 0 or 1", { EKS_PROTECT: "no" }],
  ["VPC_SUBNETS must be ids", { VPC_SUBNETS: "vpc-1" }],
  ["VPC_SUBNETS must be ids", { VPC_SUBNETS: "subnet-1,subnet-2," }],
  ["VPC_SUBNETS must be ids", { VPC_SUBNETS: "subnet-1,subnet-1" }],
  ["VPC_SUBNETS needs a subnet in each zone of EKS_ZONES", { VPC_SUBNETS: "subnet-1" }],
  ["EKS_ACCESS must be public or private", { EKS_ACCESS: "both" }],
  ["EKS_CLUSTER=new makes EKS_ENDPOINT: remove it", { EKS_ENDPOINT: "https://eks.example" }],
  ["EKS_CLUSTER=new makes VPC_SECURITY_GROUPS: remove it", { VPC_SECURITY_GROUPS: "sg-1" }],
  ["EKS_NODE_GROUPS needs EKS_CLUSTER=new", { EKS_CLUSTER: "gpus", EKS_ZONES: "" }],
  ["EKS_PROTECT needs EKS_CLUSTER=new", { EKS_CLUSTER: "gpus", EKS_PROTECT: "0" }],
])("a stage is refused with: %s", (problem, more) => {
  expect(() => read({ ...withGroups(h100), ...more })).toThrow(problem);
});

test("more node groups than EKS allows are refused", () => {
  const groups = Array.from({ length: 15 }, (_, n) => ({
    ...h100,
    name: `g${n}`,
    zones: ["us-east-1a", "us-east-1b"],
  }));

  expect(() => read(withGroups(...groups))).toThrow("makes more than the 30 node groups that EKS allows");
  expect(read(withGroups(...groups.slice(1))).newCluster?.groups).toHaveLength(14);
});
