import { parseEnv } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startSts } from "#local/identity/sts.ts";
import { addSst, makeStageFolder, runIn } from "../../scripts/cluster/stage-fixture.ts";
import { answerOfferings, startEc2 } from "../../stacks/plan/new-cluster/ec2-fixture.ts";
import { startQuotas } from "../../stacks/plan/quota-fixture.ts";
import { fakeKey } from "../aws/fake-service.ts";
import { MOTO_MISSING, startMoto } from "../aws/moto.ts";
import { binaryPath, isThere } from "../cluster/binary.ts";
import { type Cluster, startCluster } from "../cluster/cluster.ts";
import { must } from "../cluster/objects.ts";
import { installPart, isReady, partPath, reportPart } from "../cluster/system-parts.ts";
import { readBlocks } from "../e2e/doc-blocks.ts";
import { ACCOUNT } from "../synthesis/cloud.ts";
import { type Resource, synthesizeCluster } from "../synthesis/synthesize.ts";
import { type Eks, startEks } from "./eks.ts";
import { fillAccount, fillCluster } from "./removal-fixture.ts";
import { identityOfRole, keyOfRole, type RoleKey } from "./role-keys.ts";
import { LONG_MS } from "./stage.ts";

/**
 * Runs the commands of docs/deploy.md in their order, for a deployer with credentials. Synthesis takes the place of a
 * deployment by SST. EKS, EC2 and STS are fakes, in front of a real API server.
 */
const [block = "", commands = ""] = readBlocks("docs/deploy.md", "## From an empty account to a GPU", "sh");
const settings = { ...(parseEnv(block) as Record<string, string>), DEPLOY_ACCOUNT: ACCOUNT };
const [stage, name] = ["dev", "berth-dev"];
const zones = ["us-east-1a", "us-east-1b"];
const offered = { "m7i.large": zones, "g5.12xlarge": zones };
const tagSet = [
  { key: "sst:app", value: "berth" },
  { key: "sst:stage", value: stage },
];
const subnets = zones.map((zone) => ({ subnetId: `Cluster-${zone}-id`, availabilityZone: zone, tagSet }));
const deployer = `arn:aws:iam::${ACCOUNT}:role/Deployer`;
const stranger = `arn:aws:iam::${ACCOUNT}:role/Stranger`;
const isBuilt = await isThere(await binaryPath(process.env));
let cluster: Cluster;
let eks: Eks;
let sts: Awaited<ReturnType<typeof startSts>>;
let resources: readonly Resource[];

const deployerKey: RoleKey = { ...fakeKey, sessionToken: fakeKey.sessionToken ?? "" };
const roleOf = (role: string) => `arn:aws:iam::${ACCOUNT}:role/${role}`;

/** Runs a command as docs/deploy.md prints it, in a folder of the stage with an `sst` that only prints its words. */
async function run(script: Parameters<typeof runIn>[1], more: readonly string[] = [], changes: Changes = {}) {
  const folder = await makeStageFolder({ ...settings, ...changes.settings });
  await addSst(folder, 0);
  const { accessKeyId, secretAccessKey, sessionToken } = changes.key ?? deployerKey;
  return runIn(folder, script, ["--stage", stage, ...more], {
    ...(await startEc2({ ...answerOfferings(offered), DescribeSubnets: () => ({ subnetSet: subnets }) })),
    ...(await startQuotas({ values: { "lambda/L-B99A9384": 1_000 } })),
    AWS_ENDPOINT_URL_EKS: eks.endpoint,
    AWS_ENDPOINT_URL_STS: sts.endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
    ...changes.environment,
  });
}

interface Changes {
  readonly settings?: Readonly<Record<string, string>>;
  readonly key?: RoleKey;
  readonly environment?: Readonly<Record<string, string>>;
}

/** The workloads of the cluster's add-ons. */
const deployments = ["coredns", "metrics-server", "ebs-csi-controller"];
const daemonSets = ["kube-proxy", "aws-node", "ebs-csi-node", "eks-pod-identity-agent"];

const asWanted = /^= \d+ objects are as wanted\n$/;

test("docs/deploy.md prints the commands that these tests run", () => {
  expect(commands).toContain("npm run deploy -- --stage dev\n");
  expect(commands).toContain("npm run cluster:check -- --stage dev\n");
});

describe("with a control plane", () => {
  if (!isBuilt) {
    test("needs npm run test:cluster", ({ skip }) => skip("npm run test:cluster has built no control plane yet"));
    return;
  }
  beforeAll(async () => {
    resources = await synthesizeCluster(stage, settings);
    const others = [stranger, roleOf("ConsumerWork")];
    const identities = [{ ...identityOfRole(deployer), ...deployerKey }, ...others.map(identityOfRole)];
    sts = await startSts({ identities });
    eks = await startEks(resources, name, sts.endpoint, deployer);
    eks.knowKeys([deployerKey, ...others.map(keyOfRole)]);
    cluster = await startCluster({ tokenReviews: eks.tokenReviews });
    eks.open(cluster.controlPlane.getAccess("nobody"));
  }, LONG_MS);

  afterAll(async () => {
    await cluster.stop();
    await eks.stop();
    await sts.stop();
  });

  test.each([
    [
      "without an access entry",
      stranger,
      "The cluster does not know these credentials. On EKS, they need an access entry",
    ],
    ["of a function", roleOf("ConsumerWork"), "their access entry needs AmazonEKSClusterAdminPolicy"],
  ])("a role %s applies nothing, and is told what it needs", async (_, role, reason) => {
    const { code, stdout, stderr } = await run("apply", ["--yes"], { key: keyOfRole(role) });

    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(reason);
  });

  test("deploy applies the objects of the stage's own cluster, and a second one has nothing to change", async () => {
    const first = await run("deploy", ["--yes"]);
    const second = await run("deploy", ["--yes"]);

    const { url } = cluster.controlPlane.getAccess("nobody");
    const place = `deploy/kubernetes on EKS cluster ${name} in us-east-1, ${url}:\n`;
    expect(first).toMatchObject({ code: 0, stderr: `${place}Applied.\n` });
    expect(first.stdout).toMatch(/^sst deploy --stage dev\n(\+ .*\n)+$/);
    expect(first.stdout).toContain("\n+ Deployment kube-system/cluster-autoscaler\n");
    expect(second).toMatchObject({ code: 0, stderr: `${place}Nothing to change.\n` });
    expect(second.stdout.replace("sst deploy --stage dev\n", "")).toMatch(asWanted);
  });

  test("an autoscaler that was scaled to zero is shown, and started again", async () => {
    must(await cluster.admin.patch(partPath("Deployment", "cluster-autoscaler"), { spec: { replicas: 0 } }));

    const shown = await run("apply", ["--diff"]);
    const applied = await run("apply", ["--yes"]);
    const again = await run("apply", ["--diff"]);

    const difference = "~ Deployment kube-system/cluster-autoscaler\n    spec.replicas: 0 → 1\n";
    expect([shown.code, applied.code, again.code]).toEqual([1, 0, 0]);
    expect(shown.stdout).toContain(difference);
    expect(applied.stdout).toContain(difference);
    expect(again.stdout).toMatch(asWanted);
  });

  test("device plugins come with the first group that needs them, and are deleted with the last one", async () => {
    const group = { max: 1, zones: ["us-east-1a"] };
    const groups = [
      { ...group, name: "old", type: "g5.12xlarge", ami: "AL2023_x86_64_NVIDIA" },
      { ...group, name: "h100", type: "p5.48xlarge", efa: true },
    ];

    const added = await run("apply", ["--yes"], { settings: { EKS_NODE_GROUPS: JSON.stringify(groups) } });
    const removed = await run("apply", ["--yes"]);

    const plugins = ["nvidia-device-plugin", "aws-efa-k8s-device-plugin"].map(
      (each) => `DaemonSet kube-system/${each}`,
    );
    expect([added.code, removed.code]).toEqual([0, 0]);
    expect(added.stdout).toContain(plugins.map((each) => `+ ${each}\n`).join(""));
    expect(removed.stdout).toContain(plugins.map((each) => `- ${each}: of a former version\n`).join(""));
    expect(must(await cluster.admin.get<{ items: object[] }>(partPath("DaemonSet"))).items).toEqual([]);
  });

  test("check names what a cluster without machines lacks, and nothing once that is there", async () => {
    const before = await run("check");
    for (const part of deployments) await installPart(cluster.admin, "Deployment", part, isReady);
    for (const part of daemonSets) await installPart(cluster.admin, "DaemonSet", part, {});
    await reportPart(cluster.admin, "Deployment", "cluster-autoscaler", isReady);
    const driver = { metadata: { name: "ebs.csi.aws.com" }, spec: { attachRequired: true } };
    const drivers = "/apis/storage.k8s.io/v1/csidrivers";
    must(await cluster.admin.post(drivers, { apiVersion: "storage.k8s.io/v1", kind: "CSIDriver", ...driver }));
    await cluster.addNodes([{ name: "gpu-a", instanceType: "g5.12xlarge" }]);
    const after = await run("check");

    const ofEks = `The cluster ${name}, as EKS describes it:\n  Nothing is missing of what was checked.\n`;
    expect(before).toMatchObject({ code: 1, stderr: "" });
    expect(before.stdout).toContain(ofEks);
    expect([...before.stdout.matchAll(/^ {2}(?:MISSING|Not checked): ([^:]+)/gm)].map(([, what]) => what)).toEqual([
      ...["coredns", "kube-proxy", "aws-node", "ebs-csi-controller", "ebs-csi-node", "eks-pod-identity-agent"],
      ...["metrics-server", "cluster-autoscaler", "driver of disks", "GPUs of nodes"],
    ]);
    expect(before.stdout).toContain(
      "kubectl -n kube-system describe pods -l app.kubernetes.io/name=cluster-autoscaler says why",
    );
    expect(after).toMatchObject({ code: 0, stderr: "" });
    const lines = after.stdout.replace(ofEks, "").split("\n");
    expect(lines).toEqual([
      expect.stringMatching(/^The cluster itself/),
      "  Nothing is missing of what was checked.",
      "",
    ]);
  });

  test("EKS_PROTECT=0 ends the protection of everything, and changes no object of the cluster", async () => {
    const open = { EKS_PROTECT: "0" };
    const unprotected = await synthesizeCluster(stage, { ...settings, ...open });
    const deployed = await run("deploy", ["--yes"], { settings: open });

    const isGuarded = ({ isProtected, inputs }: Resource) => isProtected || inputs.deletionProtection === true;
    expect(resources.filter(isGuarded).map(({ type }) => type)).toContain("aws:eks/cluster:Cluster");
    expect(unprotected.filter(isGuarded)).toEqual([]);
    expect(deployed).toMatchObject({ code: 0, stderr: expect.stringMatching(/\nNothing to change\.\n$/) });
    eks.open(cluster.controlPlane.getAccess("nobody"), unprotected);
  });

  test("remove goes on only when jobs, disks, load balancers and others are gone, in this order", async ({ skip }) => {
    const moto = await startMoto();
    if (!moto) return skip(MOTO_MISSING);
    onTestFinished(() => moto.stop());
    const environment = { AWS_ENDPOINT_URL_EC2: moto.endpoint, AWS_ENDPOINT_URL_DYNAMODB: moto.endpoint };
    const remove = async () => {
      const opened = { ...settings, EKS_PROTECT: "0", DISK_RETENTION_DAYS: "0" };
      const { code, stdout } = await run("../removal/remove", ["--yes"], { settings: opened, environment });
      return [code, ...[...stdout.matchAll(/^ {2}LEFT: ([^:]+): (.*)\.$|^(sst .*)$/gm)].map(([line]) => line.trim())];
    };
    const account = await fillAccount(moto.endpoint, name);
    const objects = await fillCluster(cluster.admin, name);

    const left = [
      `LEFT: environments on the cluster: ${"a".repeat(32)}.`,
      `LEFT: volumes and snapshots of disks: ${account.disks.join(", ")}.`,
      "LEFT: the stage's gateway, images to pull ahead and capabilities: Service berth-system/berth-gateway.",
      "LEFT: load balancers, volumes, machines and objects of others on the cluster: Service default/shop, Node gpu-a.",
      "LEFT: load balancers, functions and security groups of others in the stage's network: ELB net/k8s-shop/0a1b.",
    ];
    const steps = [objects.endJob, account.deleteDisks, objects.removeGateway, objects.removeOthers];
    for (const [done, takeStep] of steps.entries()) {
      expect(await remove()).toEqual([1, ...left.slice(done)]);
      await takeStep();
    }
    expect(await remove()).toEqual([1, ...left.slice(-1)]);
    await account.deleteBalancer();
    expect(await remove()).toEqual([0, `sst remove --stage ${stage}`]);
  });
});
