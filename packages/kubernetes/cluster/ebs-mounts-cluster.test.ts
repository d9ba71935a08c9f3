import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Observation, Run } from "#core/ports/compute.ts";
import { RunNotTaken } from "#core/problem.ts";
import { removed } from "#tests/cluster/cluster.ts";
import { must } from "#tests/cluster/objects.ts";
import { logText } from "#tests/fixtures/log-text.ts";
import { kubernetesCompute } from "../compute.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import type { KubeObject } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import type { PersistentVolume } from "../volumes/claim.ts";
import { kubernetesVolumes } from "../volumes.ts";

const zone = "us-east-1b";
const paths = buildPaths(namespace);
const gently = { graceSeconds: 1, force: false };
let fixture: ClusterFixture;
let count = 0;

beforeAll(async () => {
  const nodes = ["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge", zone }));
  const elsewhere = { name: "three", instanceType: "p5.48xlarge", zone: "us-east-1a" };
  fixture = await openClusterFixture([...nodes, elsewhere]);
});

afterEach(() => fixture.clear());
afterAll(() => fixture.stop());

/** A new EBS volume for each test, and its objects in the cluster. */
function newVolume() {
  count += 1;
  const id = `vol-${count.toString(16).padStart(17, "0")}`;
  const path = `/api/v1/persistentvolumes/berth-${id}`;
  return { id, zone, path, claimPath: `${paths.claims}/${id}` };
}

type Ebs = ReturnType<typeof newVolume>;

function runWith({ id }: Ebs, changes: Partial<Run> = {}): Run {
  return fixtureRun({ mounts: [{ volume: { id, zone }, path: "/workspace" }], ...changes });
}

const until = ({ uid }: Run, holds: (seen: Observation | undefined) => boolean) =>
  fixture.eventually(() => fixture.compute.observe(uid, 1), holds);
const statuses = ({ path, claimPath }: Ebs) =>
  Promise.all([path, claimPath].map(async (name) => (await fixture.cluster.admin.get(name)).status));

/** Retries like the core: leftovers of the last run may outlive one attempt. */
async function applied(run: Run): Promise<void> {
  const tried = () =>
    fixture.compute.apply(run).then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof RunNotTaken)) throw error;
        return false;
      },
    );
  await fixture.eventually(tried, (isTaken) => isTaken);
}

async function finished(run: Run): Promise<string> {
  await applied(run);
  const end = await until(run, (seen) => seen?.state === "ended");
  const log = await logText(fixture.compute.readLog(run.uid, 1));
  await fixture.compute.remove(run.uid, 1, gently);
  await until(run, (seen) => seen === undefined);
  return `${log}exit ${end?.exitCode}`;
}

async function gone(ebs: Ebs): Promise<void> {
  for (const path of [ebs.claimPath, ebs.path]) await removed(fixture.cluster.admin, path);
}

/** Stops before the Job is created, as a dying worker does; the mounts exist by then. */
async function interrupted(run: Run): Promise<void> {
  const create = ((path: string, ...rest: [object]) =>
    path === paths.jobs ? Promise.reject(new Error("interrupted")) : fixture.client.create(path, ...rest)) as (
    ...args: unknown[]
  ) => Promise<never>;
  const compute = kubernetesCompute({ ...fixture.options, client: { ...fixture.client, create } });
  await expect(compute.apply(run)).rejects.toThrow("interrupted");
}

it("keeps a run's data for the next one on another machine, without objects in between", async () => {
  const ebs = newVolume();

  const first = await finished(runWith(ebs, { command: 'echo one > "$WORKSPACE/file"' }));
  await gone(ebs);
  const shares = [{ node: "two", units: 1 }];
  const second = await finished(runWith(ebs, { command: 'cat "$WORKSPACE/file"', shares }));
  await gone(ebs);

  expect([first, second]).toEqual(["exit 0", "one\nexit 0"]);
  expect(await fixture.cluster.kubelet.disks.handles("volumes")).toContain(ebs.id);
});

it("is mounted by one pod at a time, in its zone, and stays when its claim is removed", async () => {
  const ebs = newVolume();
  const run = runWith(ebs, { shares: [{ node: null, units: 1 }] });

  await fixture.compute.apply(run);
  const seen = await until(run, (observation) => observation?.state === "ready");

  const found = must(await fixture.cluster.admin.get<PersistentVolume>(ebs.path));
  const expression = { key: "topology.kubernetes.io/zone", operator: "In", values: [zone] };
  expect(found).toMatchObject({
    metadata: {
      labels: { "berth/uid": run.uid, "berth/run": "1", "berth/deployment": "fixture" },
      annotations: { "berth/key": run.key },
    },
    spec: {
      accessModes: ["ReadWriteOncePod"],
      persistentVolumeReclaimPolicy: "Retain",
      csi: { driver: "ebs.csi.aws.com", volumeHandle: ebs.id, fsType: "ext4" },
      claimRef: { namespace, name: ebs.id },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [expression] }] } },
    },
  });
  expect(seen?.nodes[0]?.name).toMatch(/^(one|two)$/);
  // It belongs to EC2, not to the cluster.
  const volumes = kubernetesVolumes({ client: fixture.client, paths, deployment: "fixture" }, { now: Date.now });
  expect(await volumes.listOwned()).toEqual({ volumes: [] });
});

it("waits with a reason on a machine of another zone", async () => {
  const ebs = newVolume();
  const run = runWith(ebs, { shares: [{ node: "three", units: 1 }] });

  await fixture.compute.apply(run);
  const seen = await until(run, (observation) => observation?.reason?.includes("node affinity") ?? false);

  expect(seen).toMatchObject({ state: "unbound", nodes: [] });
});

it("serves one run at a time, even if two mount it", async () => {
  const ebs = newVolume();
  const [first, second] = [runWith(ebs), runWith(ebs)];
  await fixture.compute.apply(first);
  await until(first, (seen) => seen?.state === "ready");

  const taking = fixture.compute.apply(second);

  await expect(taking).rejects.toMatchObject({ name: "RunNotTaken", message: "its volume is in use by another run" });
  expect(await fixture.compute.observe(second.uid, 1)).toBeUndefined();
  expect(await fixture.compute.observe(first.uid, 1)).toMatchObject({ state: "ready", terminating: false });
  expect(await statuses(ebs)).toEqual([200, 200]);
});

it("passes to the next run after an interrupted one, whose late removal has no effect", async () => {
  const ebs = newVolume();
  const [first, second] = [runWith(ebs), runWith(ebs)];
  await interrupted(first);
  // Objects of earlier tests may still be there.
  const parts = (await fixture.compute.listParts()).filter(({ uid }) => uid === first.uid);

  await applied(second);
  await until(second, (seen) => seen?.state === "ready");
  await fixture.compute.remove(first.uid, 1, gently);

  expect(parts).toEqual([{ uid: first.uid, run: 1, key: first.key }]);
  const objects = await Promise.all(
    [ebs.path, ebs.claimPath].map((path) => fixture.cluster.admin.get<KubeObject>(path)),
  );
  expect(objects.map((answer) => must(answer).metadata)).toMatchObject([
    { labels: { "berth/uid": second.uid } },
    { labels: { "berth/uid": second.uid } },
  ]);
  expect(objects.map((answer) => must(answer).metadata.deletionTimestamp)).toEqual([undefined, undefined]);
});

it("is released with the leftovers of an interrupted run, without a Job that names it", async () => {
  const ebs = newVolume();
  const run = runWith(ebs);
  await interrupted(run);

  await fixture.compute.remove(run.uid, 1, gently);

  await gone(ebs);
  expect(await fixture.compute.listParts()).toEqual([]);
});

it("is claimed again if its claim was deleted before its run was created", async () => {
  const ebs = newVolume();
  const run = runWith(ebs);
  await interrupted(run);
  await fixture.eventually(
    async () => must(await fixture.cluster.admin.get<PersistentVolume>(ebs.path)).spec.claimRef?.uid,
    (uid) => uid !== undefined,
  );
  await fixture.cluster.admin.remove(ebs.claimPath);
  await removed(fixture.cluster.admin, ebs.claimPath);

  await applied(run);

  expect(await until(run, (seen) => seen?.state === "ready")).toMatchObject({ nodes: [{ name: "one" }] });
});

const ours = {
  "app.kubernetes.io/managed-by": "berth",
  "berth/deployment": "fixture",
  "berth/uid": "f".repeat(32),
  "berth/run": "1",
};
const csi = (volumeHandle: string, driver = "ebs.csi.aws.com") => ({ driver, volumeHandle });

it.each([
  ["another volume", ours, ({ id }: Ebs) => ({ csi: csi("vol-0123456789abcdef0"), claimRef: getClaim(id) })],
  ["another driver's", ours, ({ id }: Ebs) => ({ csi: csi(id, "any.csi.example"), claimRef: getClaim(id) })],
  ["another namespace's", ours, ({ id }: Ebs) => ({ csi: csi(id), claimRef: getClaim(id, "kube-system") })],
  ["another claim's", ours, ({ id }: Ebs) => ({ csi: csi(id), claimRef: getClaim("other") })],
  ["another control plane's", { ...ours, "berth/deployment": "other" }, ownValue],
  ["a foreign volume without a label", {}, ownValue],
  [
    "one that would take the volume along",
    ours,
    (ebs: Ebs) => ({ ...ownValue(ebs), persistentVolumeReclaimPolicy: "Delete" }),
  ],
])("is not mounted through a PersistentVolume of its name that is %s", async (_, labels, getSpec) => {
  const ebs = newVolume();
  const size = { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOncePod"], storageClassName: "" };
  const spec = { ...size, persistentVolumeReclaimPolicy: "Retain", ...getSpec(ebs) };
  const made = must(
    await fixture.cluster.admin.post(ebs.path.replace(/\/[^/]+$/, ""), {
      metadata: { name: `berth-${ebs.id}`, labels },
      spec,
    }),
  );
  const run = runWith(ebs);

  const applying = fixture.compute.apply(run);

  const message = `The cluster has a PersistentVolume berth-${ebs.id} that is not Berth's`;
  await expect(applying).rejects.toMatchObject({ name: "RunRefused", message });
  await fixture.compute.remove(run.uid, 1, gently);
  const { metadata } = must(await fixture.cluster.admin.get(ebs.path));
  expect([metadata.uid, metadata.deletionTimestamp]).toEqual([made.metadata.uid, undefined]);
});

it("is not bound to a foreign claim of its name", async () => {
  const ebs = newVolume();
  const spec = { storageClassName: "", accessModes: ["ReadWriteOncePod"], resources: { requests: { storage: "1Gi" } } };
  const made = must(await fixture.cluster.admin.post(paths.claims, { metadata: { name: ebs.id, labels: ours }, spec }));
  const run = runWith(ebs);

  const applying = fixture.compute.apply(run);

  await expect(applying).rejects.toMatchObject({ name: "RunRefused", message: expect.stringContaining(ebs.id) });
  await fixture.compute.remove(run.uid, 1, gently);
  expect((await fixture.cluster.admin.get(ebs.path)).status).toBe(404);
  expect(must(await fixture.cluster.admin.get(ebs.claimPath)).metadata.uid).toBe(made.metadata.uid);
});

function getClaim(name: string, where = namespace): object {
  return { apiVersion: "v1", kind: "PersistentVolumeClaim", name, namespace: where };
}

function ownValue({ id }: Ebs) {
  return { csi: csi(id), claimRef: getClaim(id) };
}
