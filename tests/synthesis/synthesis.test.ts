import { readdirSync, readFileSync, statSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MOTO_MISSING, startMoto } from "#tests/aws/moto.ts";
import functionsFile from "../../functions.json" with { type: "json" };
import type { FunctionsFile } from "../../stacks/compute/functions-file.ts";
import deployerPolicy from "../../stacks/deployer-policy.json" with { type: "json" };
import { accessChecks } from "./access-checks.ts";
import { alarmChecks } from "./alarm-checks.ts";
import { callerChecks } from "./caller-checks.ts";
import { type Check, checks, ofType } from "./checks.ts";
import { concurrencyChecks } from "./concurrency-checks.ts";
import { consoleChecks } from "./console-checks.ts";
import { edgeChecks } from "./edge-checks.ts";
import { refusalOfIam } from "./iam.ts";
import { noticeChecks } from "./notice-checks.ts";
import { permissionChecks } from "./permission-checks.ts";
import {
  domainFaults,
  type Fault,
  faults,
  networkFaults,
  nodePortFaults,
  stage,
  volumeKeyFaults,
} from "./planted-faults.ts";
import { type MadePolicy, rolePolicies, trustPolicies } from "./policies.ts";
import { recursionChecks } from "./recursion-checks.ts";
import { roleChecks } from "./role-checks.ts";
import { getService } from "./service.ts";
import { socketChecks } from "./socket-checks.ts";
import { ownEndpoint, stageSettings as settings } from "./stage-settings.ts";
import { type Resource, synthesize } from "./synthesize.ts";

const functions = functionsFile as FunctionsFile;
const all: Readonly<Record<string, Check>> = {
  ...accessChecks,
  ...alarmChecks,
  ...callerChecks,
  ...checks,
  ...concurrencyChecks,
  ...consoleChecks,
  ...edgeChecks,
  ...noticeChecks,
  ...permissionChecks,
  ...recursionChecks,
  ...roleChecks,
  ...socketChecks,
};
/** Enough for a busy machine. An idle one needs a minute. */
const LONG_MS = 600_000;
let resources: readonly Resource[];
/** A retained stage with a private cluster and node ports for SSH. */
let production: readonly Resource[];
const moto = await startMoto();

beforeAll(async () => {
  const network = { EKS_ACCESS: "private", VPC_SUBNETS: "subnet-1,subnet-2", VPC_SECURITY_GROUPS: "sg-1" };
  resources = await synthesize(stage, settings);
  const key = { EBS_KMS_KEY_ID: "arn:aws:kms:us-east-1:111111111111:key/0a1b2c3d-1111-2222-3333-444455556666" };
  const certificate = "arn:aws:acm:us-east-1:111111111111:certificate/0a1b2c3d-1111-2222-3333-444455556666";
  const domain = { API_DOMAIN: "api.berth.dev", API_CERTIFICATE_ARN: certificate };
  const more = { ...network, ...key, ...domain, MONTHLY_BUDGET_USD: "500" };
  const { SSH_HOST_KEYS: _, ...others } = settings;
  const access = { ACCESS: "nodeport", TOOLS_IMAGE: "berth/tools:1", EKS_ENDPOINT: ownEndpoint };
  production = await synthesize("production", { ...others, ...more, ...access });
}, LONG_MS);

test.each(Object.keys(all))("%s are as expected", (name) => {
  expect(all[name]?.(resources, functions)).toEqual([]);
});

test("a secret that functions would refuse at their init fails the deployment", { timeout: LONG_MS }, async () => {
  const half = { SST_SECRET_OriginSecrets: `${"s".repeat(32)},old` };

  await expect(synthesize(stage, { ...settings, ...half })).rejects.toThrow(
    "The secret OriginSecrets cannot be deployed",
  );
});

test("every bundle is a module and its assets, without a source map", () => {
  const files = functions.flatMap(({ name }) => readdirSync(new URL(`../../dist/${name}`, import.meta.url)));

  expect([...new Set(files)].toSorted()).toEqual(["assets", "index.mjs"]);
});

test("every bundle that a request waits for is at most 450 kB", () => {
  const awaited = functions.filter(({ kind }) => kind !== "consumer" && kind !== "schedule");
  const sizes = awaited.map(({ name }) => {
    const { size } = statSync(new URL(`../../dist/${name}/index.mjs`, import.meta.url));
    return { name, size };
  });

  expect(sizes.filter(({ size }) => size > 450_000)).toEqual([]);
});

test("the deployer is allowed each service of a stage, and passes roles only to these", () => {
  const { Statement } = deployerPolicy;
  const allowed = new Set(Statement.flatMap(({ Action }) => Action).map((action) => action.split(":")[0]));
  const made = [...resources, ...production].filter(({ type, read: result }) => type.startsWith("aws:") && !result);
  const passed = Statement.flatMap(({ Condition }) => Condition?.StringEquals?.["iam:PassedToService"] ?? []);
  const trusted = trustPolicies([...resources, ...production]).flatMap(({ document }) =>
    JSON.parse(document).Statement.map(({ Principal }: { Principal: { Service: string } }) => Principal.Service),
  );

  expect([...new Set(made.map(getService))].filter((service) => !allowed.has(service))).toEqual([]);
  expect([...new Set(trusted)].toSorted()).toEqual(passed);
  expect(ofType(made, "aws:iam/role:Role").flatMap(({ inputs }) => inputs.managedPolicyArns ?? [])).toEqual([]);
});

test("the AWS provider has the version that SST was built with", () => {
  const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const { dependencies } = JSON.parse(read(".sst/platform/package.json"));

  const [, pinned] = /version: "([0-9.]+)"/.exec(read("sst.config.ts")) ?? [];

  expect(pinned).toBe(dependencies["@pulumi/aws"]);
});

describe("a production stage with a private cluster", () => {
  test("retains its table and the key of sealed values, and has a budget alarm", () => {
    const [table] = ofType(production, "aws:dynamodb/table:Table");
    const [budget] = ofType(production, "aws:budgets/budget:Budget");

    expect(table?.inputs).toMatchObject({ name: "berth-production", deletionProtectionEnabled: true });
    expect(all.sealerKey?.(production, functions)).toEqual([]);
    expect(budget?.inputs).toMatchObject({ limitAmount: "500", limitUnit: "USD", timeUnit: "MONTHLY" });
  });

  test("has in its network only the functions that reach the cluster", () => {
    const inside = ofType(production, "aws:lambda/function:Function").filter(({ inputs }) => inputs.vpcConfig);

    expect(inside.map(({ inputs }) => inputs.vpcConfig)).toContainEqual({
      subnetIds: ["subnet-1", "subnet-2"],
      securityGroupIds: ["sg-1"],
    });
    expect(all.network?.(production, functions)).toEqual([]);
    expect(all.roles?.(production, functions)).toEqual([]);
    expect(all.policySizes?.(production, functions)).toEqual([]);
  });

  test("encrypts volumes with the configured key, which only EC2 may use for the role of reconciles", () => {
    expect(all.keyOfVolumes?.(production, functions)).toEqual([]);
    expect(all.actions?.(production, functions)).toEqual([]);
    expect(all.environments?.(production, functions)).toEqual([]);
  });

  test("accepts only TLS 1.2 at its host name, which the canary calls too", () => {
    expect(all.transport?.(production, functions)).toEqual([]);
    expect(all.canary?.(production, functions)).toEqual([]);
  });

  test("reaches its cluster at the endpoint that it configures", () => {
    expect(all.clusterAddress?.(production, functions)).toEqual([]);
  });

  test("opens SSH at node ports, and has no gateway", () => {
    for (const check of ["waysIn", "gatewayRole", "outputs"]) expect(all[check]?.(production, functions)).toEqual([]);
  });

  test.each(Object.entries(nodePortFaults))("is caught with %s", (_, [check, fault]) => {
    expectCaught(check, fault, production);
  });

  test.each(Object.entries(domainFaults))("is caught with %s", (_, fault) => {
    expectCaught("transport", fault, production);
  });

  test.each(Object.entries(volumeKeyFaults))("is caught with %s", (_, fault) => {
    expectCaught("keyOfVolumes", fault, production);
  });

  test.each(Object.entries(networkFaults))("is caught with %s", (_, fault) => {
    expectCaught("network", fault, production);
  });
});

describe("IAM of moto, which parses policies", () => {
  if (!moto) {
    test("needs moto", ({ skip }) => skip(MOTO_MISSING));
    return;
  }
  const { endpoint, stop } = moto;
  afterAll(stop);
  const make = ({ of, document }: MadePolicy) =>
    refusalOfIam(endpoint, { Action: "CreateRole", RoleName: of, AssumeRolePolicyDocument: document });
  const allow = ({ of, document }: MadePolicy) =>
    refusalOfIam(endpoint, { Action: "PutRolePolicy", RoleName: of, PolicyName: "ports", PolicyDocument: document });

  test("accepts every role with its policies", async () => {
    for (const [n, made] of [resources, production].entries()) {
      const named = ({ of, document }: MadePolicy) => ({ of: `${of}${n}`, document });
      const [roles, policies] = [trustPolicies(made), rolePolicies(made)];
      expect(policies.length).toBeGreaterThanOrEqual(roles.length);
      for (const role of roles) expect([role.of, await make(named(role))]).toEqual([role.of, undefined]);
      for (const policy of policies) expect([policy.of, await allow(named(policy))]).toEqual([policy.of, undefined]);
    }
  });

  test("accepts the policy of the deployer", async () => {
    await make({ of: "Deployer", document: trustPolicies(resources)[0]?.document ?? "" });

    expect(await allow({ of: "Deployer", document: JSON.stringify(deployerPolicy) })).toBeUndefined();
  });

  test.each([
    ["an unknown operator", '"StringEquals"', '"StringEqual"'],
    ["a resource that is not an ARN", '"arn:aws:sqs:', '"aws:sqs:'],
    ["an unknown effect", '"Allow"', '"Permit"'],
    ["an action without its service", '"sqs:SendMessage"', '"SendMessage"'],
  ])("refuses %s", async (_, from, to) => {
    const sender = rolePolicies(resources).find(({ of }) => of === "SocketSender");
    const { document = "" } = sender ?? {};
    await make({ of: "Sender", document: trustPolicies(resources)[0]?.document ?? "" });

    expect(await allow({ of: "Sender", document })).toBeUndefined();
    expect(document.replace(from, to)).not.toBe(document);
    expect(await allow({ of: "Sender", document: document.replace(from, to) })).toBeDefined();
  });
});

test(
  "a stage without its settings is not created",
  async () => {
    await expect(synthesize(stage, {})).rejects.toThrow("ALLOWED_ACCOUNTS must be set");
  },
  LONG_MS,
);

describe("a planted fault is caught", () => {
  test.each(Object.entries(faults))("%s", (_, [check, fault]) => {
    expectCaught(check, fault, resources);
  });
});

function expectCaught(check: string, fault: Fault, made: readonly Resource[]): void {
  const faulty = made.flatMap((resource) => fault(resource) ?? []);

  expect(JSON.stringify(faulty)).not.toBe(JSON.stringify(made));
  expect(all[check]?.(made, functions)).toEqual([]);
  expect(all[check]?.(faulty, functions)).not.toEqual([]);
}
