import { expect, test } from "vitest";
import functionsFile from "../../functions.json" with { type: "json" };
import type { FunctionEntry, FunctionsFile } from "./functions-file.ts";
import { type Arns, buildStatements, findRole } from "./roles.ts";
import { withheldActions } from "./withheld-actions.ts";

const functions = functionsFile as FunctionsFile;
const arns: Arns<string> = {
  table: "arn:table",
  tableIndexes: "arn:table/index/*",
  queues: { work: "arn:work", pools: "arn:pools", webhooks: "arn:webhooks" },
  bucket: "arn:bucket",
  bucketObjects: "arn:bucket/*",
  sealerKey: "arn:key",
  cluster: "arn:cluster",
  nodeGroups: "arn:node-groups",
  logGroups: "arn:log-group:/berth/dev/*:*",
  volumes: "arn:volume/*",
  snapshots: "arn:snapshot/*",
  instances: "arn:instance/*",
  ebsKey: undefined,
  ec2Service: "ec2.us-east-1.amazonaws.com",
  deployment: "berth-dev",
  inNetwork: false,
};

function entryNamed(name: string): FunctionEntry {
  const found = functions.find((entry) => entry.name === name);
  if (!found) throw new Error(`functions.json has no ${name}`);
  return found;
}

function listActions(name: string): string[] {
  return buildStatements(findRole(entryNamed(name)), arns)
    .flatMap(({ Action }) => Action)
    .filter((action) => !action.startsWith("logs:"));
}

test("a function without ports may only write its own log", () => {
  expect(buildStatements(findRole(entryNamed("shared/live")), arns)).toEqual([
    {
      Sid: "OwnLogs",
      Effect: "Allow",
      Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
      Resource: ["arn:log-group:/berth/dev/*:*"],
    },
  ]);
});

test("an endpoint that sends reconciles cannot receive any; the consumer of a queue receives only from it", () => {
  expect(listActions("gpu-dev/jobs/cancel").filter((action) => action.startsWith("sqs:"))).toEqual([
    "sqs:SendMessage",
    "sqs:GetQueueAttributes",
  ]);
  expect(listActions("gpu-dev/jobs/submit").filter((action) => action.startsWith("sqs:"))).toEqual(["sqs:SendMessage"]);
  const [, received] = buildStatements(findRole(entryNamed("consumers/plan")), arns);
  expect(received).toMatchObject({ Sid: "Receive", Resource: ["arn:pools"] });
});

test.each(["onmemos/sessions/execute", "socket/shell", "schedules/watch"])(
  "%s, which ends no run, may not call EC2",
  (name) => {
    expect(listActions(name).filter((action) => action.startsWith("ec2:"))).toEqual([]);
  },
);

test("only the capacity schedule may read node groups, subnets and Capacity Blocks, also from its own code in a network", () => {
  const readers = functions.filter(({ name }) => listActions(name).some((action) => action.startsWith("eks:List")));
  const names = (inNetwork: boolean, effect: "Allow" | "Deny") =>
    buildStatements(findRole(entryNamed("schedules/capacity")), { ...arns, inNetwork })
      .filter(({ Effect }) => Effect === effect)
      .flatMap(({ Action }) => Action);

  expect(readers.map(({ name }) => name)).toEqual(["schedules/capacity"]);
  expect(listActions("schedules/capacity").filter((action) => /^e(ks|c2):/.test(action))).toEqual([
    "eks:DescribeCluster",
    "eks:ListNodegroups",
    "eks:DescribeNodegroup",
    "ec2:DescribeSubnets",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeCapacityReservations",
  ]);
  expect(names(true, "Allow")).toContain("ec2:DescribeSubnets");
  expect(names(true, "Deny")).toContain("ec2:CreateNetworkInterface");
  expect(names(true, "Deny")).not.toContain("ec2:DescribeSubnets");
});

test("no role has an action of its ports that is listed as withheld", () => {
  for (const [name, actions] of Object.entries(withheldActions)) {
    const entry = functions.find((each) => findRole(each).name === name);
    const left = entry ? listActions(entry.name) : actions;
    const received = entry?.kind === "consumer" ? ["sqs:GetQueueAttributes"] : [];

    expect(
      left.filter((action) => actions.includes(action) && !received.includes(action)),
      name,
    ).toEqual([]);
  }
});

test("the request that renames a disk may change only tags", () => {
  expect(new Set(listActions("gpu-dev/disks/rename").filter((action) => action.startsWith("ec2:")))).toEqual(
    new Set(["ec2:CreateTags"]),
  );
});

test("only reconciles may use the key of volumes, and only if one is set", () => {
  const ebsKey = "arn:ebs-key";
  const users = (configuredKey: string | undefined) =>
    functions
      .filter((entry) =>
        buildStatements(findRole(entry), { ...arns, ebsKey: configuredKey }).some(({ Resource }) =>
          Resource.includes(ebsKey),
        ),
      )
      .map(({ name }) => name);

  expect(users(ebsKey)).toEqual(["consumers/reconcile"]);
  expect(users(undefined)).toEqual([]);
});

test("changes of EC2 require the deployment's tag, except for the machine that a volume is detached from", () => {
  const changing = buildStatements(findRole(entryNamed("consumers/reconcile")), arns).filter(
    ({ Action }) => Action.some((action) => action.startsWith("ec2:")) && !Action.join().includes("Describe"),
  );

  const free = changing.filter(({ Condition }) => Condition === undefined).map(({ Sid }) => Sid);

  expect(changing.length).toBeGreaterThan(5);
  expect(free).toEqual(["OffMachine"]);
});

test("reconciles create volumes only from the deployment's own snapshots", () => {
  const mayRestore = (has: Tags) => may("consumers/reconcile", "ec2:CreateVolume", has);

  expect(mayRestore({ "berth:deployment": "berth-dev" })).toBe(true);
  expect(mayRestore({ "berth:deployment": "berth-prod" })).toBe(false);
  expect(mayRestore({ Name: "somebody's" })).toBe(false);
  expect(mayRestore({})).toBe(false);
});

test("a function that reads blobs or compares volumes may not change them", () => {
  const blobs = (name: string) => listActions(name).filter((action) => action.startsWith("s3:"));
  const volumes = listActions("schedules/orphans").filter((action) => action.startsWith("ec2:"));

  const readers = functions.filter(({ kind, uses }) => kind === "endpoint" && uses.includes("blobs"));
  expect(readers).not.toEqual([]);
  for (const { name } of readers) expect(blobs(name), name).toEqual(["s3:GetObject", "s3:ListBucket"]);
  expect(volumes).toEqual(expect.arrayContaining(["ec2:DescribeVolumes", "ec2:DescribeSnapshots"]));
  expect(volumes.filter((action) => !action.startsWith("ec2:Describe"))).toEqual([]);
  expect(blobs("consumers/reconcile")).toContain("s3:PutObject");
});

type Tags = Record<string, string>;

function mayTag(name: string, has: Tags, writes: Tags): boolean {
  return may(name, "ec2:CreateTags", has, writes);
}

// IAM User Guide, "Controlling access to AWS resources using tags".
/** Reports whether IAM allows an action on a snapshot with the tags `has` to a call that writes the tags `writes`. */
function may(name: string, action: string, has: Tags, writes: Tags = {}): boolean {
  const values: Record<string, string> = {
    ...Object.fromEntries(Object.entries(has).map(([key, value]) => [`aws:ResourceTag/${key}`, value])),
    ...Object.fromEntries(Object.entries(writes).map(([key, value]) => [`aws:RequestTag/${key}`, value])),
  };
  const holds: Record<string, (key: string, wanted: readonly string[]) => boolean> = {
    StringEquals: (key, wanted) => wanted.includes(values[key] ?? ""),
    Null: (key, [wanted]) => String(values[key] === undefined) === wanted,
    "ForAllValues:StringEquals": (_, wanted) => Object.keys(writes).every((key) => wanted.includes(key)),
  };
  return buildStatements(findRole(entryNamed(name)), arns)
    .filter(({ Action, Resource }) => Action.includes(action) && Resource.includes("arn:snapshot/*"))
    .some(({ Condition = {} }) =>
      Object.entries(Condition).every(([operator, keys]) =>
        Object.entries(keys).every(([key, wanted]) => holds[operator]?.(key, [wanted].flat())),
      ),
    );
}

test.each(["gpu-dev/disks/rename", "consumers/reconcile"])(
  "%s restores removed tags, and claims no foreign snapshot",
  (name) => {
    // As packages/aws/ec2/ebs-snapshots.ts writes them.
    const tags = { "berth:deployment": "berth-dev", "berth:disk": "d", "berth:record": "k", Name: "data" };

    expect(mayTag(name, { "berth:deployment": "berth-dev" }, tags)).toBe(true);
    expect(mayTag(name, {}, tags)).toBe(true);
    expect(mayTag(name, { "berth:deployment": "berth-prod" }, tags)).toBe(false);
    expect(mayTag(name, {}, { ...tags, "berth:deployment": "berth-prod" })).toBe(false);
    expect(mayTag(name, {}, { ...tags, owner: "mallory" })).toBe(false);
  },
);

test("a role cannot tag a foreign snapshot so that it may remove it", () => {
  const written = { "berth:deployment": "berth-dev", "berth:disk": "d", Name: "data" };
  const made = { ...written, "berth:attempt": "a-r1-1" };

  expect(may("consumers/reconcile", "ec2:DeleteSnapshot", made)).toBe(true);
  expect(may("consumers/reconcile", "ec2:DeleteSnapshot", { ...made, "berth:deployment": "berth-prod" })).toBe(false);
  expect(may("consumers/reconcile", "ec2:DeleteSnapshot", written)).toBe(false);
  for (const has of [{}, written, made]) expect(mayTag("consumers/reconcile", has, made)).toBe(false);
});

test("Lambda creates the interfaces of a function in a network, and the function's code cannot", () => {
  const statements = buildStatements(findRole(entryNamed("consumers/reconcile")), { ...arns, inNetwork: true });
  const interfaces = /NetworkInterface|PrivateIpAddresses|DescribeSubnets/;
  const actionsWith = (effect: string) =>
    statements
      .filter(({ Effect }) => Effect === effect)
      .flatMap(({ Action }) => Action.filter((action) => interfaces.test(action)));
  const denied = statements.filter(({ Effect }) => Effect === "Deny");

  expect(actionsWith("Allow").length).toBeGreaterThan(0);
  expect(actionsWith("Deny")).toEqual(actionsWith("Allow"));
  // Only a call from a function's own code has this key.
  expect(denied.map(({ Condition }) => Condition)).toEqual([{ Null: { "lambda:SourceFunctionArn": "false" } }]);
});

test("no action has a star, and each role's name leaves room for the suffix of AWS", () => {
  const roles = functions.map(findRole);

  const actions = roles.flatMap((role) => buildStatements(role, arns)).flatMap(({ Action }) => Action);

  expect(actions.filter((action) => !/^[a-z0-9]+:[A-Za-z]+$/.test(action))).toEqual([]);
  expect(Math.max(...roles.map(({ name }) => name.length))).toBeLessThan(50);
});
