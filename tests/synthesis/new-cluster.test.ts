import { beforeAll, expect, test } from "vitest";
import functionsFile from "../../functions.json" with { type: "json" };
import policyOfCluster from "../../stacks/cluster/deployer-policy.json" with { type: "json" };
import type { FunctionsFile } from "../../stacks/compute/functions-file.ts";
import policyOfStage from "../../stacks/deployer-policy.json" with { type: "json" };
import { type Check, ofType } from "./checks.ts";
import { clusterChecks } from "./cluster-checks.ts";
import { efaChecks } from "./efa-checks.ts";
import { machineChecks } from "./machine-checks.ts";
import { newClusterSettings, newClusterStage } from "./new-cluster-settings.ts";
import { clusterFaults } from "./planted-cluster-faults.ts";
import { trustPolicies } from "./policies.ts";
import { getService } from "./service.ts";
import { type Resource, synthesizeCluster } from "./synthesize.ts";

const functions = functionsFile as FunctionsFile;
const all: Readonly<Record<string, Check>> = { ...clusterChecks, ...machineChecks, ...efaChecks };
let resources: readonly Resource[];

beforeAll(async () => {
  resources = await synthesizeCluster(newClusterStage, newClusterSettings);
}, 600_000);

test.each(Object.keys(all))("%s are as expected", (name) => {
  expect(all[name]?.(resources, functions)).toEqual([]);
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

function getServices({ Principal }: { readonly Principal: { readonly Service: string | string[] } }): string[] {
  return [Principal.Service].flat();
}

test.each(Object.entries(clusterFaults))("a planted fault is caught: %s", (_, [check, fault]) => {
  const faulty = resources.flatMap((resource) => fault(resource) ?? []);

  expect(JSON.stringify(faulty)).not.toBe(JSON.stringify(resources));
  expect(all[check]?.(faulty, functions)).not.toEqual([]);
});
