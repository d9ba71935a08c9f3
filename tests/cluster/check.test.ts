import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from "vitest";
import { type ApiClient, apiClient } from "#kubernetes/client/api-client.ts";
import { applyPlan, planApply } from "#kubernetes/setup/apply.ts";
import { checkSetup, type SetupNeeds } from "#kubernetes/setup/check.ts";
import { type Manifest, readManifests } from "#kubernetes/setup/manifests.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import type { ClusterUser } from "./control-plane.ts";
import { must } from "./objects.ts";
import { installPart, isReady, partPath, reportPart } from "./system-parts.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const drivers = "/apis/storage.k8s.io/v1/csidrivers";
const system = "/namespaces/berth-system";
const own = { stage: "dev", version: "1.35" };
const gateway = { TABLE_NAME: "berth-dev", DOMAIN: "berth.test" };
let cluster: Cluster;
let client: ApiClient;
let manifests: Manifest[];

const clientOf = (user: ClusterUser) => {
  const { url, ca, token } = cluster.controlPlane.getAccess(user);
  return apiClient({ url, ca, token: async () => token, deadlineMs: 60_000 });
};
/** Returns the findings as lines, and what was left out. */
const check = async (needs: Partial<SetupNeeds> = {}, as = client) => {
  const none = {
    owned: undefined,
    ownCluster: undefined,
    hasEbs: false,
    nodeTypes: [],
    newMachineResources: {},
    gateway: undefined,
  };
  const report = await checkSetup(as, { manifests, ...none, ...needs });
  return {
    findings: report.findings.map(({ what, missing }) => `${what}: ${missing}`),
    leftOut: report.leftOut.map(({ what }) => what),
  };
};

beforeAll(async () => {
  cluster = await startCluster();
  client = clientOf("admin");
  manifests = await readManifests(join(root, "deploy/kubernetes"));
  await cluster.addNodes([{ name: "gpu-a", instanceType: "p5.48xlarge" }]);
  await installPart(cluster.admin, "Deployment", "coredns", isReady);
});

afterAll(async () => {
  client.close();
  await cluster.stop();
});

beforeEach(async () => applyPlan(client, await planApply(client, manifests)));

it("a cluster that has everything lacks nothing", async () => {
  expect(await check()).toEqual({ findings: [], leftOut: [] });
});

it("a deleted or changed object is named, until it is applied again", async () => {
  const quota = manifests.find(({ kind }) => kind === "ResourceQuota")?.metadata.name;
  must(await cluster.admin.remove(`/api/v1/namespaces/berth-environments/resourcequotas/${quota}`));

  const before = await check();
  await applyPlan(client, await planApply(client, manifests));

  const missing = `ResourceQuota berth-environments/${quota} is not as this version wants`;
  expect(before.findings).toEqual([`objects of deploy/kubernetes: ${missing}`]);
  expect((await check()).findings).toEqual([]);
});

it("parts of kube-system that are not ready are named on any cluster", async () => {
  const parts = [
    ["DaemonSet", "kube-proxy", { desiredNumberScheduled: 2, numberReady: 1, numberAvailable: 1 }],
    ["Deployment", "metrics-server", {}],
    ["Deployment", "cluster-autoscaler", {}],
  ] as const;
  for (const [kind, name, status] of parts) await installPart(cluster.admin, kind, name, status);
  onTestFinished(async () => {
    for (const [kind, name] of parts) must(await cluster.admin.remove(partPath(kind, name)));
  });

  const before = await check();
  await reportPart(cluster.admin, "DaemonSet", "kube-proxy", { numberReady: 2, numberAvailable: 2 });
  for (const [kind, name] of parts.slice(1)) await reportPart(cluster.admin, kind, name, isReady);

  expect(before.findings).toEqual([
    "kube-proxy: it is ready on 1 of 2 machines, and pods need it to reach Services, such as DNS",
    "metrics-server: none of its pods is ready, and `kubectl top` needs it",
    "cluster-autoscaler: none of its pods is ready, and it starts machines for jobs that wait",
  ]);
  expect(await check()).toEqual({ findings: [], leftOut: [] });
});

it("add-ons that are missing are findings only on a stage's own cluster, because others may replace them", async () => {
  must(await cluster.admin.remove(partPath("Deployment", "coredns")));
  onTestFinished(() => installPart(cluster.admin, "Deployment", "coredns", isReady));

  expect(await check()).toEqual({ findings: [], leftOut: ["coredns"] });
  expect(await check({ ownCluster: own })).toEqual({
    findings: [
      "coredns: it is not installed, and jobs need it to find hosts by name",
      "kube-proxy: it is not installed, and pods need it to reach Services, such as DNS",
      "aws-node: it is not installed, and pods get their addresses and network policies from it",
      "ebs-csi-controller: it is not installed, and it attaches the disks of jobs",
      "ebs-csi-node: it is not installed, and it mounts the disks of jobs",
      "eks-pod-identity-agent: it is not installed, and it gives pods their roles",
      "metrics-server: it is not installed, and `kubectl top` needs it",
    ],
    leftOut: [],
  });
});

it("a stage's own cluster needs the version of Kubernetes that Berth deploys", async () => {
  const { findings } = await check({ ownCluster: { ...own, version: "1.36" } });

  expect(findings).toContain("version of Kubernetes: the cluster has 1.35, and this version of Berth deploys 1.36");
});

it("a stage needs the EBS CSI driver", async () => {
  const before = await check({ hasEbs: true });
  const driver = { metadata: { name: "ebs.csi.aws.com" }, spec: { attachRequired: true } };
  must(await cluster.admin.post(drivers, { apiVersion: "storage.k8s.io/v1", kind: "CSIDriver", ...driver }));
  onTestFinished(async () => void must(await cluster.admin.remove(`${drivers}/ebs.csi.aws.com`)));

  expect(before.findings).toEqual(["driver of disks: the EBS CSI driver is not installed"]);
  expect((await check({ hasEbs: true })).findings).toEqual([]);
});

it("a node of a type with GPUs that offers none is named", async () => {
  const labels = { "node.kubernetes.io/instance-type": "g5.12xlarge" };
  must(await cluster.admin.post("/api/v1/nodes", { metadata: { name: "silent", labels } }));
  onTestFinished(async () => void must(await cluster.admin.remove("/api/v1/nodes/silent")));

  expect((await check()).findings).toEqual(["GPUs of nodes: silent offer no nvidia.com/gpu"]);
});

it("a gateway that is missing, of another stage, not ready or without an address is named, and nothing else of it", async () => {
  const absent = await check({ gateway });
  const [deployment] = (await readManifests(join(root, "deploy/kubernetes/gateway"))).filter(
    ({ kind }) => kind === "Deployment",
  );
  must(await cluster.admin.post(`/apis/apps/v1${system}/deployments`, deployment ?? {}));
  const data = { ...gateway, TABLE_NAME: "berth-other" };
  const settings = { metadata: { name: "berth-gateway" }, data };
  must(await cluster.admin.post(`/api/v1${system}/configmaps`, settings));
  const path = `/apis/apps/v1${system}/deployments/berth-gateway`;

  const foreign = await check({ gateway });
  const status = { status: { replicas: 2, readyReplicas: 1, availableReplicas: 1 } };
  must(await cluster.admin.patch(`${path}/status`, status));
  must(await cluster.admin.patch(`/api/v1${system}/configmaps/berth-gateway`, { data: gateway }));

  expect(absent.findings).toEqual(["gateway: it is not applied, so nobody can enter a job"]);
  expect(foreign.findings).toEqual([
    "gateway: its TABLE_NAME is berth-other, and that of the stage berth-dev",
    "gateway: none of its pods is ready; they need the Secret berth-gateway-host-key and their settings",
  ]);
  expect((await check({ gateway })).findings).toEqual([]);

  const services = `/api/v1${system}/services`;
  const balanced = { type: "LoadBalancer", ports: [{ port: 22 }] };
  must(await cluster.admin.post(services, { metadata: { name: "berth-gateway" }, spec: balanced }));
  const unreachable = await check({ gateway });
  const loadBalancer = { ingress: [{ hostname: "gateway.elb.test" }] };
  must(await cluster.admin.patch(`${services}/berth-gateway/status`, { status: { loadBalancer } }));

  expect(unreachable.findings).toEqual(["gateway: its load balancer has no address, so nobody can enter a job"]);
  expect((await check({ gateway })).findings).toEqual([]);
});

it("checks that the rights do not allow are left out and named", async () => {
  const nobody = clientOf("nobody");
  onTestFinished(() => nobody.close());

  expect(await check({ hasEbs: true, gateway }, nobody)).toEqual({
    findings: [],
    leftOut: ["objects of deploy/kubernetes", "parts of kube-system", "driver of disks", "GPUs of nodes", "gateway"],
  });
});

it("npm run cluster:check prints each lack with what to do, and exits with 1", async () => {
  const run = async () => {
    const env = { ...process.env, KUBECONFIG: join(cluster.controlPlane.home, "admin.kubeconfig") };
    const running = promisify(execFile)(process.execPath, ["scripts/cluster/check.ts"], { cwd: root, env });
    return running.then(
      ({ stdout }) => ({ code: 0, stdout }),
      ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
        code,
        stdout: stdout + stderr,
      }),
    );
  };
  const whole = await run();
  must(await cluster.admin.remove("/apis/scheduling.k8s.io/v1/priorityclasses/berth-environment"));
  const lacking = await run();

  expect(whole.code).toBe(0);
  expect(whole.stdout).toMatch(
    /^The cluster itself \(context bench, .*\):\n {2}Nothing is missing of what was checked\.\n$/,
  );
  expect(lacking.code).toBe(1);
  expect(lacking.stdout).toContain(
    "  MISSING: objects of deploy/kubernetes: PriorityClass berth-environment is not as this version wants.\n" +
      "    npm run cluster:apply, which shows the differences first\n",
  );
});
