import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { newClusterSettings } from "#tests/synthesis/new-cluster-settings.ts";
import { readStage } from "../stage.ts";
import type { Prices } from "./costs.ts";
import { newClusterLines } from "./new-cluster-plan.ts";

const prices = JSON.parse(readFileSync(new URL("prices.json", import.meta.url), "utf8")) as Prices;

function plan(name: string, more: Readonly<Record<string, string>> = {}): string[] {
  const stage = readStage(name, { ...newClusterSettings, ...more });
  if (!stage.newCluster) throw new Error("The stage makes no cluster");
  return newClusterLines(stage, stage.newCluster, prices).map((line) => line.trim().replace(/ {2,}/, " | "));
}

test("the plan says what a cluster costs by the hour, at its least and at its most", () => {
  const disk = (gb: number) => `a disk of ${gb} GB for each (gp3), at $0.08 for each GB a month`;

  expect(plan("dev").slice(0, 15)).toEqual([
    "EKS_CLUSTER=new: this stage makes the cluster berth-dev with Kubernetes 1.35. An hour of it",
    `by the list prices of us-east-1 on ${prices.date}:`,
    "$0.10 | the control plane",
    "by use | its audit and authenticator logs, at $0.5 for each GB",
    "$0.05 | 1 NAT gateway (EKS_ZONES), and $0.045 for each GB",
    "$0.202 to $0.302 | the cluster's own pods: 2 to 3 × m7i.large",
    `$0.011 to $0.016 | ${disk(50)}`,
    "$0.00 to $110.08 | group h100 with EFA in us-east-1a, us-east-1b (EKS_NODE_GROUPS): 0 to 2 × p5.48xlarge",
    `$0.00 to $0.219 | ${disk(1000)}`,
    "$11.344 to $34.032 | group a10g in us-east-1a, us-east-1b (EKS_NODE_GROUPS): 2 to 6 × g5.12xlarge of Spot",
    `$0.044 to $0.132 | ${disk(200)}`,
    "paid before | group block with EFA in us-east-1b (EKS_NODE_GROUPS): 0 to 4 × p5e.48xlarge",
    `$0.00 to $0.088 | ${disk(200)}`,
    "as reserved | group a100 in us-east-1a (EKS_NODE_GROUPS): 0 to 1 × p4d.24xlarge",
    `$0.00 to $0.022 | ${disk(200)}`,
  ]);
});

test("the plan says for which machines it has no price", () => {
  const group = (type: string) => JSON.stringify([{ name: "new", type, max: 1, zones: ["us-east-1a"] }]);
  const none = (lines: readonly string[]) => lines.filter((line) => line.includes("no on-demand price is listed"));

  expect(none(plan("dev", { EKS_NODE_GROUPS: group("p5e.48xlarge") }))).toEqual([
    "For p5e.48xlarge, no on-demand price is listed here: https://aws.amazon.com/ec2/pricing/on-demand/ has it.",
  ]);
  expect(none(plan("dev", { EKS_NODE_GROUPS: group("p5.48xlarge") }))).toEqual([]);
});

test("the plan says that Spot machines cost at most what it counts, if there are any", () => {
  const group = { name: "new", type: "g5.12xlarge", max: 1, zones: ["us-east-1a"] };
  const told = (lines: readonly string[]) => lines.filter((line) => line.startsWith("Spot machines are counted"));

  expect(told(plan("dev"))).toHaveLength(1);
  expect(told(plan("dev", { EKS_NODE_GROUPS: JSON.stringify([group]) }))).toEqual([]);
});

test("the plan of another region says that its prices differ", () => {
  const cpu = { name: "cpu", type: "c7i.8xlarge", max: 1, zones: ["eu-west-1a"] };
  const of = { AWS_REGION: "eu-west-1", EKS_ZONES: "eu-west-1a,eu-west-1b", EKS_NODE_GROUPS: JSON.stringify([cpu]) };

  expect(plan("dev", of)).toContain(`by the list prices of us-east-1 on ${prices.date}, which differ in eu-west-1:`);
});

test("a group on demand has a price for all of its zones", () => {
  const group = { name: "a10g", type: "g5.12xlarge", min: 1, max: 3, zones: ["us-east-1a", "us-east-1b"] };

  expect(plan("dev", { EKS_NODE_GROUPS: JSON.stringify([group]) })).toContain(
    "$11.344 to $34.032 | group a10g in us-east-1a, us-east-1b (EKS_NODE_GROUPS): 2 to 6 × g5.12xlarge",
  );
});

test("the plan says which quotas a cluster needs at its most, without blocks", () => {
  const lines = plan("dev");

  expect(lines.slice(lines.findIndex((line) => line.startsWith("Quotas")) + 1)).toEqual([
    "aws service-quotas get-service-quota --region us-east-1 --service-code <service> --quota-code <code>",
    "480 vCPUs or more | Running On-Demand P instances (ec2 L-417A185B)",
    "288 vCPUs or more | All G and VT Spot Instance Requests (ec2 L-3819A6DF)",
    "166 vCPUs or more | Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances (ec2 L-1216C47A)",
    "6 TiB or more | Storage for General Purpose SSD (gp3) volumes, in TiB (ebs L-7A658B76)",
    "1 more | VPCs per Region, of 5 (vpc L-F678F1CE)",
    "1 more | EC2-VPC Elastic IPs, of 5 (ec2 L-0263D0A3)",
    "1 more | NAT gateways per Availability Zone, of 5 (vpc L-FE5A380F)",
    "2 more | Gateway VPC endpoints per Region, of 20 (vpc L-1B52E74A)",
    "1 more | Clusters, of 100 (eks L-1194D53C)",
  ]);
});

test("each generation of P has its own Spot quota, and that of P6 has no code", () => {
  const zones = ["us-east-1a"];
  const groups = [
    { name: "a100", type: "p4d.24xlarge", max: 1, zones, spot: true },
    { name: "h100", type: "p5.48xlarge", max: 1, zones, spot: true },
    { name: "h200", type: "p5e.48xlarge", max: 1, zones, spot: true },
    { name: "b200", type: "p6-b200.48xlarge", max: 2, zones, spot: true },
  ];

  expect(
    plan("dev", { EKS_NODE_GROUPS: JSON.stringify(groups) }).filter((line) => line.includes("Spot Instance")),
  ).toEqual([
    "96 vCPUs or more | All P4, P3 and P2 Spot Instance Requests (ec2 L-7212CCBC)",
    "384 vCPUs or more | All P5 Spot Instance Requests (ec2 L-C4BD4855)",
    "384 vCPUs or more | Spot Instance Requests of newer P instances (ec2, see its console)",
  ]);
});

test("production has a NAT gateway in each zone, and a network of the operator none", () => {
  const lines = plan("production", { ALARM_EMAIL: "a@b.dev" });
  const inSubnets = plan("dev", { VPC_SUBNETS: "subnet-1,subnet-2" });

  expect(lines).toContain("$0.10 | 2 NAT gateways (EKS_ZONES), and $0.045 for each GB");
  expect(lines).toContain("2 more | EC2-VPC Elastic IPs, of 5 (ec2 L-0263D0A3)");
  expect(inSubnets.join("\n")).toContain("VPC_SUBNETS: your network's own NAT");
  expect(inSubnets.join("\n")).not.toMatch(/VPCs per Region|Elastic IPs/);
});

test("the plan says that the cluster is protected, unless it is not", () => {
  expect(plan("dev").join("\n")).toContain("EKS_PROTECT: neither a deployment");
  expect(plan("dev", { EKS_PROTECT: "0" }).join("\n")).not.toContain("EKS_PROTECT");
});
