import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { MOTO_MISSING, startMoto } from "#tests/aws/moto.ts";
import functionsFile from "../../functions.json" with { type: "json" };
import policyOfCluster from "../../stacks/cluster/deployer-policy.json" with { type: "json" };
import type { FunctionsFile } from "../../stacks/compute/functions-file.ts";
import policyOfStage from "../../stacks/deployer-policy.json" with { type: "json" };
import { type Check, ofType } from "./checks.ts";
import { clusterChecks } from "./cluster-checks.ts";
import { efaChecks } from "./efa-checks.ts";
import { refusalOfIam } from "./iam.ts";
import { machineChecks } from "./machine-checks.ts";
import { networkChecks } from "./network-checks.ts";
import { newClusterSettings, newClusterStage } from "./new-cluster-settings.ts";
import { clusterFaults } from "./planted-cluster-faults.ts";
import { type MadePolicy, rolePolicies, trustPolicies } from "./policies.ts";
import { getService } from "./service.ts";
import { type Resource, synthesizeCluster } from "./synthesize.ts";

const functions = functionsFile as FunctionsFile;
const all: Readonly<Record<string, Check>> = { ...clusterChecks, ...machineChecks, ...efaChecks, ...networkChecks };
let resources: readonly Resource[];
// With AWS's own policies, which the cluster's roles get by their ARNs.
vi.stubEnv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true");
const moto = await startMoto();

beforeAll(async () => {
  resources = await synthesizeCluster(newClusterStage, newClusterSettings);
}, 600_000);

test.each(Object.keys(all))("%s are as expected", (name) => {
  expect(all[name]?.(resources, functions)).toEqual([]);
});

test("a stage with VPC_SUBNETS makes no network, and puts each group into the subnets of its zone", async () => {
  const VPC_SUBNETS = "subnet-1,subnet-2,subnet-3";
  const inSubnets = await synthesizeCluster("own-subnets", { ...newClusterSettings, VPC_SUBNETS });

  const network = /^aws:ec2\/(vpc|subnet|routeTable|natGateway|eip|internetGateway|vpcEndpoint):/;
  expect(inSubnets.filter(({ type, read: result }) => network.test(type) && !result)).toEqual([]);
  const [cluster] = ofType(inSubnets, "aws:eks/cluster:Cluster");
  expect(cluster?.inputs.vpcConfig.subnetIds.toSorted()).toEqual(["subnet-1", "subnet-2", "subnet-3"]);
  const groups = ofType(inSubnets, "aws:eks/nodeGroup:NodeGroup").filter(({ name }) =>
    name.startsWith("Cluster-h100-"),
  );
  expect(groups.map(({ name, inputs }) => [name, inputs.subnetIds])).toEqual([
    ["Cluster-h100-us-east-1a", ["subnet-1", "subnet-3"]],
    ["Cluster-h100-us-east-1b", ["subnet-2"]],
  ]);
});

test("a deployer with both policies may call each service, attach AWS's policies, and pass the cluster's roles", () => {
  const statements = [...policyOfStage.Statement, ...policyOfCluster.Statement];
  const allowed = new Set(statements.flatMap(({ Action }) => Action).map((action) => action.split(":")[0]));
  const made = resources.filter(({ type, read: result }) => type.startsWith("aws:") && !result);
  const attached = ofType(made, "aws:iam/rolePolicyAttachment:RolePolicyAttachment");
  const trusted = trustPolicies(made).flatMap(({ document }) => JSON.parse(document).Statement.flatMap(getServices));
  const listed = policyOfCluster.Statement.map(({ Condition }) => Condition);

  expect([...new Set(made.map(getService))].filter((service) => !allowed.has(service))).toEqual([]);
  expect(listed.flatMap((each) => each?.ArnEquals?.["iam:PolicyARN"] ?? [])).toEqual(
    attached.map(({ inputs }) => inputs.policyArn).toSorted(),
  );
  // Those of functions are passed by the stage's own policy.
  expect(listed.flatMap((each) => each?.StringEquals?.["iam:PassedToService"] ?? [])).toEqual(
    [...new Set(trusted)].filter((service) => service !== "lambda.amazonaws.com").toSorted(),
  );
});

test("a deployer may remove the interfaces that functions leave in the network of a private cluster", () => {
  // Lambda removes its interfaces up to 20 minutes after its functions (AWS Lambda Developer Guide, "Giving Lambda functions
  // access to resources in an Amazon VPC"), and until then EC2 removes neither their subnets nor their group.
  const actions = policyOfCluster.Statement.flatMap(({ Action }) => Action);

  expect(actions).toEqual(expect.arrayContaining(["ec2:DeleteNetworkInterface", "ec2:DetachNetworkInterface"]));
});

test.each([
  ["its own cluster", "dev", { EKS_CLUSTER: "new" }, true],
  ["its own cluster and EKS_PROTECT=0", "dev", { EKS_CLUSTER: "new", EKS_PROTECT: "0" }, false],
  ["a cluster that exists", "dev", { EKS_CLUSTER: "gpus" }, false],
  ["the name production", "production", { EKS_CLUSTER: "new", EKS_PROTECT: "0" }, true],
])("SST refuses to remove a stage with %s only if it must", async (_, stage, settings, isProtected) => {
  for (const name of ["EKS_CLUSTER", "EKS_PROTECT"]) vi.stubEnv(name, undefined);
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value);
  vi.stubGlobal("$config", (config: unknown) => config);
  const { default: config } = await import("../../sst.config.ts");

  expect(await config.app({ stage })).toMatchObject({ protect: isProtected });
});

function getServices({ Principal }: { readonly Principal: { readonly Service: string | string[] } }): string[] {
  return [Principal.Service].flat();
}

describe("IAM of moto", () => {
  if (!moto) {
    test("needs moto", ({ skip }) => skip(MOTO_MISSING));
    return;
  }
  const { endpoint, stop } = moto;
  afterAll(stop);
  const makeRole = (name: string, document: string) =>
    refusalOfIam(endpoint, { Action: "CreateRole", RoleName: name, AssumeRolePolicyDocument: document });
  const putPolicy = (role: string, document: string) =>
    refusalOfIam(endpoint, { Action: "PutRolePolicy", RoleName: role, PolicyName: "rights", PolicyDocument: document });
  const attach = (role: string, arn: string) =>
    refusalOfIam(endpoint, { Action: "AttachRolePolicy", RoleName: role, PolicyArn: arn });

  test("accepts each role of the cluster with its own and AWS's policies, and no policy that AWS lacks", async () => {
    // Those of functions have placeholders in this program.
    const isOfCluster = ({ of }: MadePolicy) => of.startsWith("Cluster");
    const roles = trustPolicies(resources).filter(isOfCluster);
    const own = rolePolicies(resources).filter(isOfCluster);
    const attachments = ofType(resources, "aws:iam/rolePolicyAttachment:RolePolicyAttachment");

    expect([roles, own, attachments].map(({ length }) => length)).toEqual([5, 2, 4]);
    for (const { of, document } of roles) expect([of, await makeRole(of, document)]).toEqual([of, undefined]);
    for (const { of, document } of own) expect([of, await putPolicy(of, document)]).toEqual([of, undefined]);
    for (const { inputs } of attachments) {
      const { role, policyArn } = inputs;
      expect([policyArn, await attach(role, policyArn)]).toEqual([policyArn, undefined]);
    }
    expect(await attach("ClusterMachines", "arn:aws:iam::aws:policy/AmazonEKSMachinePolicy")).toBeDefined();
  });

  test("accepts the deployer's policy for a cluster, and refuses it with a mistake", async () => {
    await makeRole("Deployer", trustPolicies(resources)[0]?.document ?? "");
    const document = JSON.stringify(policyOfCluster);

    expect(await putPolicy("Deployer", document)).toBeUndefined();
    expect(await putPolicy("Deployer", document.replace('"eks:CreateCluster"', '"CreateCluster"'))).toBeDefined();
    expect(await putPolicy("Deployer", document.replace('"ArnEquals"', '"ArnEqual"'))).toBeDefined();
  });
});

test.each(Object.entries(clusterFaults))("a planted fault is caught: %s", (_, [check, fault]) => {
  const faulty = resources.flatMap((resource) => fault(resource) ?? []);

  expect(JSON.stringify(faulty)).not.toBe(JSON.stringify(resources));
  expect(all[check]?.(faulty, functions)).not.toEqual([]);
});
