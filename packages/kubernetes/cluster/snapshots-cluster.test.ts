import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SnapshotTags, Volumes } from "#core/ports/volumes.ts";
import { removed } from "#tests/cluster/cluster.ts";
import { findVolumeHandle } from "#tests/cluster/disks/pretend-disks.ts";
import { snapshotPath } from "#tests/cluster/disks/snapshot-api.ts";
import { must } from "#tests/cluster/objects.ts";
import { volumesConformance } from "#tests/conformance/volumes.ts";
import { type ClusterFixture, namespace, openClusterFixture, unhurried } from "../fixtures/cluster-fixture.ts";
import { parseClaimId } from "../names.ts";
import type { KubeObject } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import { kubernetesVolumes } from "../volumes.ts";

const paths = buildPaths(namespace);
const classes = `${snapshotPath}/volumesnapshotclasses`;
const tags: SnapshotTags = { name: "My data 🚀", disk: "d".repeat(32), attempt: "a-r1-1" };
let fixture: ClusterFixture;
let volumes: Volumes;

beforeAll(async () => {
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }], undefined, { snapshots: true });
  const { admin } = fixture.cluster;
  must(
    await admin.post("/apis/storage.k8s.io/v1/storageclasses", {
      metadata: { name: "at-once", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
      provisioner: "ebs.csi.aws.com",
      volumeBindingMode: "Immediate",
      reclaimPolicy: "Retain",
    }),
  );
  for (const [name, driver] of [
    ["another", "another.csi.example"],
    ["ebs", "ebs.csi.aws.com"],
  ]) {
    const kind = "VolumeSnapshotClass";
    const body = {
      apiVersion: "snapshot.storage.k8s.io/v1",
      kind,
      metadata: { name },
      driver,
      deletionPolicy: "Delete",
    };
    must(await admin.post(classes, body));
  }
  volumes = getVolumes({});
});

afterAll(() => fixture.stop());

function getVolumes(options: { patienceMs?: number; goneWithinMs?: number }): Volumes {
  const place = { client: fixture.client, paths, deployment: "fixture" };
  return kubernetesVolumes(place, { storageClass: null, ...unhurried, ...options });
}

async function clear(): Promise<void> {
  const { admin } = fixture.cluster;
  await become(null);
  for (const path of [paths.snapshots, paths.claims]) {
    const { items } = must(await admin.get<{ items: KubeObject[] }>(path));
    const isClaim = path === paths.claims;
    const remove = isClaim ? volumes.removeVolume : volumes.removeSnapshot;
    await Promise.all(items.map(({ metadata }) => remove(`${metadata.name}.${metadata.uid}`)));
    await Promise.all(items.map(({ metadata }) => removed(admin, `${path}/${metadata.name}`)));
  }
}

/** Fate of snapshots from now on. */
async function become(parameters: Record<string, string> | null): Promise<void> {
  must(await fixture.cluster.admin.patch(`${classes}/ebs`, { parameters: null }));
  must(await fixture.cluster.admin.patch(`${classes}/ebs`, { parameters }));
}

async function getDirectory(volume: string): Promise<string> {
  const name = parseClaimId(volume)?.name ?? "";
  const handle = await fixture.eventually(
    () => findVolumeHandle(fixture.cluster.admin, namespace, name),
    (found) => found !== undefined,
  );
  return fixture.cluster.kubelet.disks.findDirectory(handle ?? "");
}

const content = {
  write: async (volume: string, text: string) => writeFile(join(await getDirectory(volume), "file"), text),
  read: async (volume: string) => readFile(join(await getDirectory(volume), "file"), "utf8"),
};

describe("claims and VolumeSnapshots as all Volumes", () => {
  /** Bound a moment later; until then there is nothing to back up. */
  const createVolume: Volumes["createVolume"] = async (wanted) => {
    const made = await volumes.createVolume(wanted);
    await getDirectory(made.id);
    return made;
  };
  volumesConformance(async () => ({
    volumes: { ...volumes, createVolume },
    pass: async (ms) => void (await sleep(ms)),
    content,
    close: clear,
  }));
});

describe("a backup of a claim", () => {
  const newVolume = async (token: string) => {
    const { id } = await volumes.createVolume({ token, sizeGb: 10, zone: "z", snapshotId: undefined });
    await content.write(id, "kept");
    return id;
  };
  const state =
    (id: string, of = volumes) =>
    async () =>
      (await of.findSnapshot(id))?.state;
  const completed = (id: string) => fixture.eventually(state(id), (now) => now === "completed");

  it("is created once per attempt, and carries its tags", async () => {
    const id = await newVolume("one");

    const made = await Promise.all([1, 2, 3].map(() => volumes.createSnapshot(id, tags)));
    const [first] = made;
    await completed(first?.id ?? "");

    expect(new Set(made.map((snapshot) => snapshot.id)).size).toBe(1);
    expect(await volumes.listSnapshots(id)).toHaveLength(1);
    const { items } = must(await fixture.cluster.admin.get<{ items: KubeObject[] }>(paths.snapshots));
    expect(items[0]?.metadata).toMatchObject({
      labels: { "berth/name": "My_data", "berth/disk": tags.disk, "berth/deployment": "fixture" },
      annotations: { "berth/name": tags.name, "berth/attempt": tags.attempt },
    });
    await clear();
  });

  it("is listed with its disk's record only by its own control plane", async () => {
    const others = kubernetesVolumes({ client: fixture.client, paths, deployment: "other" }, unhurried);
    const id = await newVolume("one");
    const key = `owner#x#disk|${tags.disk}`;
    const ownSnapshot = await volumes.createSnapshot(id, { ...tags, key });

    const { snapshots: listed } = await volumes.listOwnedSnapshots();

    expect(listed).toEqual([{ id: ownSnapshot.id, key, tags: { ...tags, key } }]);
    expect((await others.listOwnedSnapshots()).snapshots).toEqual([]);
    await clear();
  });

  it("is unneeded before a claim has a volume, and refused then", async () => {
    const place = { client: fixture.client, paths, deployment: "fixture" };
    const waiting = kubernetesVolumes(place, unhurried);
    const { id } = await waiting.createVolume({ token: "w", sizeGb: 10, zone: "z", snapshotId: undefined });

    expect(await waiting.findVolume(id)).toMatchObject({ noBackup: "unneeded" });
    await expect(waiting.createSnapshot(id, tags)).rejects.toMatchObject({ name: "VolumeRefused" });
    expect((await volumes.findVolume(await newVolume("used")))?.noBackup).toBeUndefined();
    await clear();
  });

  it("is pending while its controller fails, and fails once that lasts", async () => {
    await become({ fails: "rpc error: code = ResourceExhausted" });
    const id = await newVolume("one");

    const { id: snapshot } = await volumes.createSnapshot(id, tags);
    const impatient = getVolumes({ patienceMs: 0 });
    await fixture.eventually(state(snapshot, impatient), (now) => now === "failed");
    const patient = await volumes.findSnapshot(snapshot);
    await become({});
    const end = await completed(snapshot);

    expect(patient).toMatchObject({ state: "pending" });
    expect(end).toBe("completed");
    await clear();
  });

  it("that is not ready cannot be restored", async () => {
    await become({ pends: "yes" });
    const { id: snapshotId } = await volumes.createSnapshot(await newVolume("one"), tags);
    const restoring = () => volumes.createVolume({ token: "r", sizeGb: 10, zone: "z", snapshotId });

    await expect(restoring()).rejects.toThrow("There is no completed snapshot");
    await become({});
    await completed(snapshotId);
    const { id } = await restoring();

    expect(await content.read(id)).toBe("kept");
    await clear();
  });

  it("stays listed while the cluster does not remove it, and vanishes when it is removed elsewhere", async () => {
    const id = await newVolume("one");
    const { id: kept } = await volumes.createSnapshot(id, tags);
    const { id: taken } = await volumes.createSnapshot(id, { ...tags, attempt: "a-r1-2" });
    await Promise.all([completed(kept), completed(taken)]);
    await become({ stays: "yes" });

    await expect(getVolumes({ goneWithinMs: 200 }).removeSnapshot(kept)).rejects.toMatchObject({
      name: "VolumeRefused",
      message: "The cluster has not removed the snapshot yet",
    });
    await become({});
    await volumes.removeSnapshot(kept);
    must(await fixture.cluster.admin.remove(`${paths.snapshots}/${taken.split(".")[0]}`));
    await fixture.eventually(state(taken), (now) => now === undefined);

    expect(await volumes.listSnapshots(id)).toEqual([]);
    await fixture.eventually(
      () => fixture.cluster.kubelet.disks.handles("snapshots"),
      (handles) => handles.length === 0,
    );
    await clear();
  });

  it("removes its data if the API server lost its finalizer during the removal", async () => {
    const { id } = await volumes.createSnapshot(await newVolume("one"), tags);
    await completed(id);
    const path = `${paths.snapshots}/${id.split(".")[0]}`;

    must(await fixture.cluster.admin.patch(path, { metadata: { finalizers: null } }));
    must(await fixture.cluster.admin.remove(path));

    await fixture.eventually(
      () => fixture.cluster.kubelet.disks.handles("snapshots"),
      (handles) => handles.length === 0,
    );
    expect(await state(id)()).toBeUndefined();
    await clear();
  });

  it("is impossible without a class of its driver", async () => {
    const id = await newVolume("one");
    must(await fixture.cluster.admin.patch(`${classes}/ebs`, { driver: "yet.another.example" }));

    const found = await volumes.findVolume(id);
    const refused = volumes.createSnapshot(id, tags);

    await expect(refused).rejects.toMatchObject({ name: "VolumeRefused" });
    expect(found).toMatchObject({ noBackup: "impossible" });
    must(await fixture.cluster.admin.patch(`${classes}/ebs`, { driver: "ebs.csi.aws.com" }));
    await clear();
  });
});
