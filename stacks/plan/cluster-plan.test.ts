import { expect, test } from "vitest";
import { stageSettings } from "#tests/synthesis/stage-settings.ts";
import functionsFile from "../../functions.json" with { type: "json" };
import type { FunctionsFile } from "../compute/functions-file.ts";
import { readStage } from "../stage.ts";
import { clusterLines, findClusterNeeds, reportLines } from "./cluster-plan.ts";

const functions = functionsFile as FunctionsFile;

const findNeeds = (more = {}, account?: string) =>
  findClusterNeeds(readStage("dev", { ...stageSettings, ...more }), functions, account);

test("the plan says what the cluster lacks, what to do, and which checks were not made", () => {
  const findings = [{ what: "node group p5", missing: "its maximum is 0", todo: "Raise it" }];
  const leftOut = [{ what: "add-ons", why: "EKS gave no answer (AccessDeniedException)" }];

  expect(reportLines("gpus", { findings, leftOut })).toEqual([
    "The cluster gpus, as EKS describes it:",
    "  MISSING: node group p5: its maximum is 0.",
    "    Raise it",
    "  Not checked: add-ons: EKS gave no answer (AccessDeniedException).",
  ]);
  expect(reportLines("gpus", { findings: [], leftOut })).toContain("  Nothing is missing of what was checked.");
  const all = ["the cluster", "access entries", "add-ons", "node groups"].map((what) => ({ what, why: "no answer" }));
  expect(reportLines("gpus", { findings: [], leftOut: all }).join()).not.toContain("Nothing is missing");
});

test("a plan without credentials says which checks it left out", async () => {
  const lines = await clusterLines("there are no AWS credentials", findNeeds());

  expect(lines[0]).toBe("The cluster gpus was not checked, because there are no AWS credentials. Left out:");
  const said = lines.slice(1).join("\n");
  for (const check of ["authentication mode", "access entries", "add-ons", "node groups"])
    expect(said).toContain(check);
});

test("a stage needs an access entry for each role that reaches the cluster, and no other", () => {
  const { roles } = findNeeds();

  expect(roles).toContainEqual({ name: "ConsumerWork", group: "berth:controller" });
  expect(roles).toContainEqual({ name: "EndpointComputeQueueTable", group: "berth:commands" });
  expect(roles.map(({ name }) => name)).not.toContain("EndpointTable");
  expect(new Set(roles.map(({ name }) => name)).size).toBe(roles.length);
});

test("a stage's settings say how it reaches the cluster, and which machines the operator makes", () => {
  const network = { EKS_ACCESS: "private", VPC_SUBNETS: "subnet-1", VPC_SECURITY_GROUPS: "sg-1" };
  const machines = { NODE_GROUPS: "p5.48xlarge=2:300:us-east-1a", NODE_TOLERATIONS: "team=ml:NoSchedule" };
  const { SSH_HOST_KEYS: _, ACCESS: __, ...others } = stageSettings;
  const stage = readStage("dev", { ...others, ACCESS: "none", ...network, ...machines });

  expect(findClusterNeeds(stage, functions, "111122223333")).toMatchObject({
    cluster: "gpus",
    account: "111122223333",
    isPrivate: true,
    hasGateway: false,
    otherPools: ["h100"],
    tolerations: [{ key: "team", value: "ml", effect: "NoSchedule" }],
  });
  expect(findNeeds({}, "")).toMatchObject({ account: undefined, isPrivate: false, hasGateway: true, otherPools: [] });
});
