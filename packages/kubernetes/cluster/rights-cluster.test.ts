import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { mkdtemp, rm } from "node:fs/promises";
import type { ClientRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Observation, Run } from "#core/ports/compute.ts";
import { clusterEnvironments } from "#local/cluster/cluster-environments.ts";
import type { ClusterUser } from "#tests/cluster/control-plane.ts";
import { snapshotPath } from "#tests/cluster/disks/snapshot-api.ts";
import { must } from "#tests/cluster/objects.ts";
import { memoryBlobs } from "#tests/fakes/memory-blobs.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { logText } from "#tests/fixtures/log-text.ts";
import { apiClient } from "../client/api-client.ts";
import { kubernetesCommands } from "../commands.ts";
import { kubernetesCompute } from "../compute.ts";
import {
  type ClusterFixture,
  fixtureRun,
  namespace,
  openClusterFixture,
  unhurried,
} from "../fixtures/cluster-fixture.ts";
import { listRights, type Role, rightsIn } from "../fixtures/rights-fixture.ts";
import type { KubeObject } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import { kubernetesVolumes } from "../volumes.ts";

let fixture: ClusterFixture;
/** Rights that the driver, and its part for requests, have used so far, as rules of a role. */
const used = new Set<string>();
const usedByCommands = new Set<string>();

const note = (message: unknown) => {
  const { request } = message as { readonly request: ClientRequest };
  const isFor = (user: ClusterUser) =>
    request.getHeader("authorization") === `Bearer ${fixture.cluster.controlPlane.getAccess(user).token}`;
  for (const right of isFor("berth") ? listRights(request) : []) used.add(right);
  for (const right of isFor("commands") ? listRights(request) : []) usedByCommands.add(right);
};

beforeAll(async () => {
  fixture = await openClusterFixture(
    ["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" })),
    ({ spec }) => (spec.containers[0]?.image === "berth.test/serves:1" ? {} : undefined),
    { snapshots: true },
  );
  subscribe("http.client.request.start", note);
});

afterAll(async () => {
  unsubscribe("http.client.request.start", note);
  await fixture.stop();
});

async function granted(): Promise<string[]> {
  const [inside, everywhere] = await Promise.all([
    fixture.cluster.admin.get<Role>(`${rbac}/namespaces/${namespace}/roles/berth`),
    fixture.cluster.admin.get<Role>(`${rbac}/clusterroles/berth`),
  ]);
  return [...rightsIn(must(inside), ` ${namespace}`), ...rightsIn(must(everywhere), "")];
}

const rbac = "/apis/rbac.authorization.k8s.io/v1";

async function applied(changes: Partial<Run>, holds: (seen: Observation) => boolean) {
  const run = fixtureRun(changes);
  await fixture.compute.apply(run);
  await fixture.eventually(
    () => fixture.compute.observe(run.uid, 1),
    (seen) => seen !== undefined && holds(seen),
  );
  return run;
}

async function watched(changes: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of changes);
}

it("the driver uses each of its rights, and fails without it", { retry: 0 }, async () => {
  const { compute, client } = fixture;
  const gently = { graceSeconds: 0, force: false };

  const home = await mkdtemp(join(tmpdir(), "berth-rights-"));
  const releases: (() => Promise<void>)[] = [];
  const environments = await clusterEnvironments({
    home,
    isUsed: false,
    kubeconfig: join(fixture.cluster.controlPlane.home, "berth.kubeconfig"),
    context: undefined,
    environment: {},
    nodeTypes: [],
    tolerations: [],
    pods: {},
    log: silentLog(),
    signal: new AbortController().signal,
    toolsImage: undefined,
    blobs: memoryBlobs(),
    watchesGpus: false,
    exposure: { sshPort: undefined, web: undefined },
    startSsh: async () => ({ port: 0, hostKey: "", drain: async () => undefined, stop: async () => undefined }),
    whenStopped: (release) => releases.push(release),
  });
  await environments.shutdown();
  await Promise.all(releases.map((release) => release()));
  await rm(home, { recursive: true });
  const ending = new AbortController();
  const watching = watched(compute.changes(ending.signal));
  await fixture.eventually(
    async () =>
      [`watch pods ${namespace}`, `watch jobs ${namespace}`, "watch nodes", "watch pods"].every((right) =>
        used.has(right),
      ),
    (areAll) => areAll,
  );
  await compute.listNodes();
  await compute.listParts();
  const shares = ["one", "two"].map((node) => ({ node, units: 1 }));
  const two = await applied({ shares, env: { A: "b" } }, ({ state }) => state === "ready");
  const exec = { id: "x", words: ["true"], stdin: "", env: {}, directory: undefined, timeoutMs: 5_000 };
  await compute.startExec(two.uid, 1, exec);
  await logText(compute.readLog(two.uid, 1));
  await compute.resize(two.uid, 1, { cpus: 1, memoryMb: 1_024 }, 1);
  await compute.extend(two.uid, 1, Date.now() + 7_200_000);
  const ports = [{ port: 8080, kind: "http" as const }];
  const serves = await applied({ ports, image: "berth.test/serves:1" }, ({ state }) => state === "ready");
  // A reconcile reads a pod by name once the watch has shown it.
  await fixture.eventually(
    async () => (await compute.observe(serves.uid, 1)) && used.has(`get pods ${namespace}`),
    (isRead) => isRead === true,
  );
  ending.abort();
  await watching;
  await compute.terminate(two.uid, 1, 10);
  await compute
    .postToPort(serves.uid, 1, { port: 8080, path: "/", body: "{}", timeoutMs: 1_000 })
    .catch(() => "silent");
  await applied({ image: "berth.test/none:1" }, ({ state }) => state === "ended");
  const pages = kubernetesCompute({ ...fixture.options, web: { domain: "gpu.example", ingressClass: "nginx" } });
  await pages.apply(fixtureRun({ ports, addressLabel: "demo", image: "berth.test/serves:1" }));
  const unbound = await applied({ shares: [{ node: "none", units: 1 }] }, ({ reason }) => reason !== null);
  await compute.remove(unbound.uid, 1, { ...gently, unlessBound: true });
  await fixture.clear();

  const volumes = kubernetesVolumes({ client, paths: buildPaths(namespace), deployment: "fixture" }, unhurried);
  const { id, zone } = await volumes.createVolume({ token: "t", sizeGb: 1, zone: "us-east-1a", snapshotId: undefined });
  await applied({ mounts: [{ volume: { id, zone }, path: "/workspace" }] }, ({ state }) => state === "ready");
  await fixture.clear();
  await volumes.findVolume(id);
  await volumes.listOwned();
  const ofEbs = { id: "vol-0123456789abcdef0", zone: "us-east-1a" };
  const mounted = { mounts: [{ volume: ofEbs, path: "/workspace" }] };
  await applied(mounted, ({ state }) => state === "ready");
  await fixture.clear();
  const { items } = must(await fixture.cluster.admin.get<{ items: KubeObject[] }>("/api/v1/persistentvolumes"));
  const claimed = items.find(({ metadata }) => metadata.name.startsWith("pvc-"));
  const source = { persistentVolumeName: claimed?.metadata.name };
  const stuck = { metadata: { name: "stuck" }, spec: { attacher: "ebs.csi.aws.com", nodeName: "two", source } };
  must(await fixture.cluster.admin.post("/apis/storage.k8s.io/v1/volumeattachments", stuck));
  const lost = (await compute.listNodes()).find(({ name }) => name === "two");
  if (lost) await volumes.detachVolume(id, lost);
  const classBody = { metadata: { name: "ebs" }, driver: "ebs.csi.aws.com", deletionPolicy: "Delete" };
  const kinds = { apiVersion: "snapshot.storage.k8s.io/v1", kind: "VolumeSnapshotClass" };
  must(await fixture.cluster.admin.post(`${snapshotPath}/volumesnapshotclasses`, { ...kinds, ...classBody }));
  const tags = { name: "data", disk: "d".repeat(32), attempt: "a-r1-1" };
  const snapshot = await volumes.createSnapshot(id, tags);
  await fixture.eventually(
    () => volumes.findSnapshot(snapshot.id),
    (seen) => seen?.state === "completed",
  );
  await volumes.listSnapshots(id);
  await volumes.tagSnapshot(snapshot.id, tags);
  await volumes.removeSnapshot(snapshot.id);
  await volumes.removeVolume(id);
  // A claim that is gone is searched among all volumes.
  await fixture.eventually(
    () => volumes.findVolume(id),
    (found) => found === undefined && used.has("list persistentvolumes"),
  );

  const useless = (await granted()).filter((right) => !used.has(right));
  expect(useless).toEqual([]);
});

it("a request runs commands with the rights of its own group, and uses each of them", { retry: 0 }, async () => {
  const { url, ca, token } = fixture.cluster.controlPlane.getAccess("commands");
  const client = apiClient({ url, ca, token: async () => token });
  const commands = kubernetesCommands({ client, paths: buildPaths(namespace), deployment: "fixture" });
  const run = await applied({}, ({ state }) => state === "ready");
  const exec = { id: "y", words: ["echo", "hello"], stdin: "", env: {}, directory: undefined, timeoutMs: 5_000 };

  await commands.startExec(run.uid, 1, exec);
  const seen = await fixture.eventually(
    () => commands.readExec(run.uid, 1, "y", 1_000),
    (status) => status?.exitCode === 0,
  );
  const gone = await commands.readExec("0".repeat(32), 1, "y", 0);
  client.close();

  const role = must(await fixture.cluster.admin.get<Role>(`${rbac}/namespaces/${namespace}/roles/berth-commands`));
  expect([seen?.exitCode, gone]).toEqual([0, undefined]);
  expect([...usedByCommands].toSorted()).toEqual(rightsIn(role, ` ${namespace}`).toSorted());
});
