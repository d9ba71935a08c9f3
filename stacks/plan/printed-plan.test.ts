import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import {
  AssociateRouteTableCommand,
  CreateNatGatewayCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  DescribeSubnetsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
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

describe("the plan of a stage that makes its own cluster", () => {
  const settings = fileURLToPath(new URL("../../.env.owned", import.meta.url));
  afterAll(() => rm(settings, { force: true }));

  if (!moto) {
    test("needs moto", ({ skip }) => skip(MOTO_MISSING));
    return;
  }
  const client = {
    endpoint: moto.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  };

  /** Returns a subnet in each of two zones. Only the first has a way out. */
  async function makeSubnets(): Promise<string[]> {
    const ec2 = new EC2Client(client);
    const Filters = [{ Name: "availability-zone", Values: ["us-east-1a", "us-east-1b"] }];
    const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({ Filters }));
    const [first, second] = Subnets.toSorted((a, b) =>
      (a.AvailabilityZone ?? "") < (b.AvailabilityZone ?? "") ? -1 : 1,
    );
    const { SubnetId, VpcId } = first ?? {};
    const { RouteTable } = await ec2.send(new CreateRouteTableCommand({ VpcId }));
    const place = { RouteTableId: RouteTable?.RouteTableId };
    const nat = await ec2.send(new CreateNatGatewayCommand({ SubnetId, ConnectivityType: "private" }));
    const NatGatewayId = nat.NatGateway?.NatGatewayId;
    await ec2.send(new CreateRouteCommand({ ...place, DestinationCidrBlock: "0.0.0.0/0", NatGatewayId }));
    await ec2.send(new AssociateRouteTableCommand({ ...place, SubnetId }));
    ec2.destroy();
    return [SubnetId ?? "", second?.SubnetId ?? ""];
  }

  async function makeCluster(): Promise<void> {
    const eks = new EKSClient(client);
    await eks.send(
      new CreateClusterCommand({
        name: "berth-owned",
        version: "1.34",
        roleArn: "arn:aws:iam::123456789012:role/cluster",
        resourcesVpcConfig: {},
        tags: { "sst:app": "berth", "sst:stage": "owned" },
      }),
    );
    eks.destroy();
  }

  test("says which subnet has no way out, what exists already, and what its upgrade does", async () => {
    const [withRoute, without] = await makeSubnets();
    await makeCluster();
    const groups = [{ name: "cpu", type: "c7i.8xlarge", max: 1, zones: ["us-east-1a"] }];
    const lines = [
      "AWS_REGION=us-east-1",
      "EKS_CLUSTER=new",
      "EKS_ZONES=us-east-1a,us-east-1b",
      `EKS_NODE_GROUPS='${JSON.stringify(groups)}'`,
      `VPC_SUBNETS=${withRoute},${without}`,
    ];
    await writeFile(settings, lines.map((line) => `${line}\n`).join(""));

    const { status, stdout } = await printPlan("owned", {
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      AWS_ENDPOINT_URL_EC2: client.endpoint,
      AWS_ENDPOINT_URL_EKS: client.endpoint,
      AWS_ENDPOINT_URL_SERVICE_QUOTAS: client.endpoint,
    });

    expect(status).toBe(0);
    expect(stdout).toContain(
      `\n  MISSING: ${without} (VPC_SUBNETS): it has no default route, and its VPC no interface `,
    );
    expect(stdout).not.toContain(`MISSING: ${withRoute}`);
    expect(stdout).toContain(
      "\nThe stage has made the cluster berth-owned already, with Kubernetes 1.34. This deployment upgrades it to 1.35,\n",
    );
    expect(stdout).toContain("\nThe cluster berth-owned, as EKS describes it:\n  MISSING: ");
  });
});
