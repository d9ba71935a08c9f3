import { expect, test } from "vitest";
import functionsFile from "../functions.json" with { type: "json" };
import type { FunctionEntry, FunctionsFile } from "./functions-file.ts";
import { type Arns, roleOf, statementsOf } from "./roles.ts";

const functions = functionsFile as FunctionsFile;
const arns: Arns<string> = {
  table: "arn:table",
  tableIndexes: "arn:table/index/*",
  queues: { work: "arn:work", pools: "arn:pools", webhooks: "arn:webhooks" },
  bucket: "arn:bucket",
  bucketObjects: "arn:bucket/*",
  sealerKey: "arn:key",
  cluster: "arn:cluster",
  logGroups: "arn:log-group:/aws/lambda/berth-dev-*:*",
  volumes: "arn:volume/*",
  snapshots: "arn:snapshot/*",
  instances: "arn:instance/*",
  deployment: "berth-dev",
};

function entryNamed(name: string): FunctionEntry {
  const found = functions.find((entry) => entry.name === name);
  if (!found) throw new Error(`functions.json has no ${name}`);
  return found;
}

function actionsOf(name: string): string[] {
  return statementsOf(roleOf(entryNamed(name)), arns)
    .flatMap(({ Action }) => Action)
    .filter((action) => !action.startsWith("logs:"));
}

test("a function that uses nothing may write its own log, and do nothing else", () => {
  expect(statementsOf(roleOf(entryNamed("shared/live")), arns)).toEqual([
    {
      Sid: "OwnLogs",
      Effect: "Allow",
      Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
      Resource: ["arn:log-group:/aws/lambda/berth-dev-*:*"],
    },
  ]);
});

test("an endpoint that sends looks cannot receive any; the consumer of a queue receives from it alone", () => {
  expect(actionsOf("gpu-dev/jobs/cancel").filter((action) => action.startsWith("sqs:"))).toEqual([
    "sqs:SendMessage",
    "sqs:GetQueueAttributes",
  ]);
  const [, received] = statementsOf(roleOf(entryNamed("work/plan")), arns);
  expect(received).toMatchObject({ Sid: "Receive", Resource: ["arn:pools"] });
});

test("a request that runs commands asks EC2 nothing, and one that renames a disk only changes tags of ours", () => {
  expect(actionsOf("onmemos/sessions/execute").filter((action) => action.startsWith("ec2:"))).toEqual([]);
  expect(actionsOf("gpu-dev/disks/rename").filter((action) => action.startsWith("ec2:"))).toEqual(["ec2:CreateTags"]);
});

test("what changes something of EC2 asks for the tag of the deployment, but where the machine or the source is named", () => {
  const changing = statementsOf(roleOf(entryNamed("work/look")), arns).filter(
    ({ Action }) => Action.some((action) => action.startsWith("ec2:")) && !Action.join().includes("Describe"),
  );

  const free = changing.filter(({ Condition }) => Condition === undefined).map(({ Sid }) => Sid);

  expect(changing.length).toBeGreaterThan(5);
  expect(free).toEqual(["OfSnapshot", "OffMachine"]);
});

test("no action has a star, and a name of a role leaves AWS room for its own end", () => {
  const roles = functions.map(roleOf);

  const actions = roles.flatMap((role) => statementsOf(role, arns)).flatMap(({ Action }) => Action);

  expect(actions.filter((action) => !/^[a-z0-9]+:[A-Za-z]+$/.test(action))).toEqual([]);
  expect(Math.max(...roles.map(({ name }) => name.length))).toBeLessThan(50);
});
