import type { Cluster } from "@aws-sdk/client-eks";
import { afterEach, expect, test, vi } from "vitest";
import { KUBERNETES_VERSION } from "../../cluster/settings.ts";
import { startEks } from "./eks-fixture.ts";
import { checkExisting, readExisting, versionLines } from "./existing-cluster.ts";

const stage = { name: "dev", eksCluster: "berth-dev" };
const own = {
  name: "berth-dev",
  status: "ACTIVE" as const,
  version: KUBERNETES_VERSION,
  tags: { "sst:app": "berth", "sst:stage": "dev" },
};
const [, minor] = KUBERNETES_VERSION.split(".").map(Number);
const versionBefore = (upgrades: number) => `1.${(minor ?? 0) - upgrades}`;

afterEach(() => vi.unstubAllEnvs());

async function check(clusters: readonly Cluster[], more = {}) {
  for (const [name, value] of Object.entries({ ...(await startEks(clusters)), ...more })) vi.stubEnv(name, value);
  return checkExisting(await readExisting(stage, { AWS_REGION: "us-east-1" }), stage);
}

test.each([
  ["there is no cluster", []],
  ["only another cluster exists", [{ ...own, name: "gpus", tags: {} }]],
  ["the stage has made it", [own]],
  ["it is one minor version behind", [{ ...own, version: versionBefore(1) }]],
  ["it is being updated", [{ ...own, status: "UPDATING" as const }]],
  ["its version has another form", [{ ...own, version: "1.x" }]],
])("a stage may make or keep its cluster if %s", async (_, clusters) => {
  expect(await check(clusters)).toEqual({ findings: [], leftOut: [] });
});

test.each([
  [{}, "no stage"],
  [{ "sst:stage": "dev" }, "no stage"],
  [{ "sst:app": "berth", "sst:stage": "prod" }, "stage prod of the app berth"],
  [{ "sst:app": "shop", "sst:stage": "dev" }, "stage dev of the app shop"],
])("a cluster of the stage's name with the tags %j is found", async (tags, maker) => {
  const { findings, leftOut } = await check([{ ...own, tags }]);

  expect(leftOut).toEqual([]);
  expect(findings).toEqual([
    {
      what: "cluster berth-dev",
      missing: `the name is taken: EKS has a cluster of this name, which ${maker} made`,
      todo: "Choose another stage name, or use it with EKS_CLUSTER=berth-dev",
    },
  ]);
});

test("a cluster two minor versions behind is found, because EKS would refuse its upgrade", async () => {
  const { findings } = await check([{ ...own, version: versionBefore(2) }]);

  expect(findings).toMatchObject([
    {
      missing: `it has Kubernetes ${versionBefore(2)}, and EKS upgrades to ${KUBERNETES_VERSION} one minor version at a time`,
    },
  ]);
});

test("a newer cluster is found, because EKS makes no version older", async () => {
  const { findings } = await check([{ ...own, version: versionBefore(-1) }]);

  expect(findings).toMatchObject([
    {
      missing: `it has Kubernetes ${versionBefore(-1)}, newer than ${KUBERNETES_VERSION} of this commit`,
      todo: expect.stringContaining("Deploy a newer commit."),
    },
  ]);
});

test.each([
  ["CREATING", "Deploy when this returns: aws eks wait cluster-active --name berth-dev"],
  [
    "DELETING",
    "When this returns, run npm run sst -- refresh --stage dev, and deploy: aws eks wait cluster-deleted --name berth-dev",
  ],
  ["FAILED", "It stays so. Delete it, and deploy again: docs/own-cluster.md#a-control-plane-that-failed"],
] as const)("a cluster that is %s is found, with what to do", async (status, todo) => {
  const { findings } = await check([{ ...own, status }]);

  const missing = `it is ${status}, and only a cluster that is ACTIVE can be deployed to`;
  expect(findings).toEqual([{ what: "cluster berth-dev", missing, todo }]);
});

test("a cluster that failed is found with the reason of EKS", async () => {
  const issues = [{ code: "Ec2SubnetNotFound" as const, message: "subnet-1 is gone", resourceIds: [] }];

  const { findings } = await check([{ ...own, status: "FAILED", health: { issues } }]);

  expect(findings[0]?.missing).toMatch(/deployed to\. EKS reports Ec2SubnetNotFound: subnet-1 is gone$/);
});

test("a tag cannot forge a line", async () => {
  const { findings } = await check([{ ...own, tags: { "sst:app": "berth", "sst:stage": "a\nApplied." } }]);

  expect(findings[0]?.missing).toContain("which stage a Applied. of the app berth made");
});

test("without the right to ask EKS, the check is left out", async () => {
  const { findings, leftOut } = await check([own], { AWS_ACCESS_KEY_ID: "AKIAOTHER" });

  expect(findings).toEqual([]);
  expect(leftOut).toMatchObject([
    { what: "whether the name berth-dev is taken", why: expect.stringContaining("EKS gave no answer (") },
  ]);
});

test("the plan says what an upgrade does, in its order, and what it drains", () => {
  const text = versionLines({ ...own, version: versionBefore(1) }, stage).join("\n");

  expect(text).toContain(
    `with Kubernetes ${versionBefore(1)}. This deployment upgrades it to ${KUBERNETES_VERSION},\n`,
  );
  expect(text).toMatch(
    /control plane, then the network's add-ons, then node groups.*then the other add-ons.*drains a machine.*own-cluster.md#change-upgrade/s,
  );
});

test("the plan says that a deployment keeps the version, or that EKS has a newer one", () => {
  expect(versionLines(own, stage)).toEqual([
    `The stage has made the cluster berth-dev already, with Kubernetes ${KUBERNETES_VERSION}, which this deployment keeps.`,
  ]);
  expect(versionLines({ ...own, version: versionBefore(-1) }, stage)).toEqual([
    expect.stringContaining(`newer than ${KUBERNETES_VERSION} of this commit: deploy a newer commit.`),
  ]);
});
