import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { CreateClusterCommand, EKSClient } from "@aws-sdk/client-eks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MOTO_MISSING, startMoto } from "#tests/aws/moto.ts";

const program = fileURLToPath(new URL("plan.ts", import.meta.url));
const moto = await startMoto();
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "berth-plan-"));
});
afterAll(async () => {
  await rm(home, { recursive: true });
  await moto?.stop();
});

/** Prints the plan of a stage for a deployer who has no credentials but the given ones. */
async function printPlan(stage: string, environment: Readonly<Record<string, string>> = {}, ...words: string[]) {
  const { PATH } = process.env;
  const own = { PATH, HOME: home, AWS_EC2_METADATA_DISABLED: "true" };
  const child = spawn(process.execPath, [program, "--stage", stage, ...words], { env: { ...own, ...environment } });
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { status, stdout, stderr };
}

test("the plan says what it waits for, and ends with the costs beside a stage", async () => {
  const { status, stdout, stderr } = await printPlan("printed");

  expect([status, stderr]).toEqual([
    0,
    "Asking the components of SST what stage printed would be made of: about a minute\n",
  ]);
  expect(stdout).toContain("\nStage printed would have:\n");
  expect(stdout).toMatch(/^Made up, .* SSH_HOST_KEYS=ssh-ed25519 A+/);
  expect(stdout).toContain("\nACCESS=gateway: SSH and pages, by the gateway's load balancer");
  expect(stdout).toContain("\nThe cluster cluster was not checked, because EKS_CLUSTER is not set. Left out:\n");
  const [, beside = ""] = stdout.split("\nBeside the stage, ");
  for (const name of ["EBS, a disk", "EKS, the control plane", "NAT gateway", "load balancer"])
    expect(beside).toMatch(new RegExp(`^ +\\$\\d+\\.\\d\\d  ${name}.*, each `, "m"));
});

test("a wrong option is printed without its control characters", async () => {
  const { status, stdout, stderr } = await printPlan("printed", {}, "--\u001b[2Jred");

  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("Unknown option '-- [2Jred'");
});

describe("the plan of a stage whose cluster is named", () => {
  const settings = fileURLToPath(new URL("../../.env.checked", import.meta.url));
  beforeAll(() => writeFile(settings, "EKS_CLUSTER=gpus\nAWS_REGION=us-east-1\n"));
  afterAll(() => rm(settings));

  test("says without credentials which checks it left out", async () => {
    const { status, stdout } = await printPlan("checked");

    expect(status).toBe(0);
    expect(stdout).toContain("\nThe cluster gpus was not checked, because there are no AWS credentials. Left out:\n");
  });

  if (!moto) {
    test("needs moto", ({ skip }) => skip(MOTO_MISSING));
    return;
  }
  const { endpoint } = moto;

  test("says with credentials what the cluster lacks", async () => {
    const credentials = { accessKeyId: "local", secretAccessKey: "local" };
    const eks = new EKSClient({ endpoint, region: "us-east-1", credentials });
    await eks.send(
      new CreateClusterCommand({
        name: "gpus",
        roleArn: "arn:aws:iam::123456789012:role/cluster",
        resourcesVpcConfig: {},
      }),
    );
    eks.destroy();

    const { stdout } = await printPlan("checked", {
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      AWS_ENDPOINT_URL_EKS: endpoint,
    });

    expect(stdout).toContain("\nThe cluster gpus, as EKS describes it:\n  MISSING: authentication mode: ");
    expect(stdout).toContain("\n  MISSING: node groups: the cluster has none.\n");
    expect(stdout).toContain("\n  Not checked: add-ons: EKS gave no answer (");
  });
});
