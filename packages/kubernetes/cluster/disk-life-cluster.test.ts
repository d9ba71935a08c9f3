import { afterAll, beforeAll, expect, it } from "vitest";
import { createDisk } from "#core/disks/create.ts";
import { renameDisk } from "#core/disks/names/rename.ts";
import { deleteDisk, undeleteDisk } from "#core/disks/requests.ts";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { diskKey } from "#core/store/keys.ts";
import { removed } from "#tests/cluster/cluster.ts";
import { snapshotPath } from "#tests/cluster/disks/snapshot-api.ts";
import { must } from "#tests/cluster/objects.ts";
import { type ClusterFixture, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { backups, type CoreFixture, startCore } from "../fixtures/core-fixture.ts";
import type { KubeObject } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import { kubernetesVolumes } from "../volumes.ts";

const LONGEST_MS = 300_000;
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const paths = buildPaths(namespace);
const persistentVolumes = "/api/v1/persistentvolumes";
let fixture: ClusterFixture;
let core: CoreFixture;

beforeAll(async () => {
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }], undefined, { snapshots: true });
  const made = { metadata: { name: "ebs" }, driver: "ebs.csi.aws.com", deletionPolicy: "Delete" };
  const body = { apiVersion: "snapshot.storage.k8s.io/v1", kind: "VolumeSnapshotClass", ...made };
  must(await fixture.cluster.admin.post(`${snapshotPath}/volumesnapshotclasses`, body));
  const place = { client: fixture.client, paths, deployment: "fixture" };
  core = await startCore(fixture.compute, kubernetesVolumes(place, { now: Date.now }));
});

afterAll(async () => {
  await core.stop();
  await fixture.stop();
});

async function objects(path: string): Promise<KubeObject[]> {
  return must(await fixture.cluster.admin.get<{ items: KubeObject[] }>(path)).items;
}

/** Output until its end, and the reported state. */
async function over(id: string): Promise<{ readonly printed: string; readonly notes: readonly (string | null)[] }> {
  await core.begun(id);
  const { log, events } = await core.until(id, ({ phase }) => phase === "completed" || phase === "failed");
  const printed = new TextDecoder().decode(await core.ctx.blobs.get(log?.blob ?? ""));
  return { printed, notes: events.timeline.map(({ reason }) => reason) };
}

it("survives jobs, backups, a rename, a loss and an undelete, and leaves nothing", {
  timeout: LONGEST_MS,
  retry: 0,
}, async () => {
  await createDisk(core.as, { name: "data", sizeGb: 10 });
  const forever = 'echo one >> "$WORKSPACE/file"; while :; do sleep 0.2; done';
  await core.create("first", { command: forever, disk: "data", gpus: 1 });
  await core.begun("first");
  await requestCancel(core.as, "first");
  await core.until("first", ({ phase }) => phase === "cancelled");
  await core.untilDisk("data", (disk) => backups(disk) === 1);

  const renamed = await renameDisk(core.as, "data", "work");
  const appends = 'cat "$WORKSPACE/file"; echo two >> "$WORKSPACE/file"';
  await core.create("second", { command: appends, disk: "work", gpus: 1 });
  const second = await over("second");
  const { volume, uid } = await core.untilDisk("work", (disk) => backups(disk) === 2);
  const names = (await objects(paths.snapshots)).map(({ metadata }) => metadata.labels?.["berth/name"]);

  await loseVolume(volume?.id ?? "");
  await core.create("third", { command: 'cat "$WORKSPACE/file"', disk: "work", gpus: 1 });
  await core.untilDisk("work", ({ volumeMissedAt }) => volumeMissedAt !== undefined);
  await missUntilReplaced(volume?.id);
  const third = await over("third");
  await core.untilDisk("work", (disk) => backups(disk) === 3);

  await deleteDisk(core.as, "work");
  await core.untilDisk("work", ({ phase }) => phase === "deleted");
  core.skip(DAY);
  await undeleteDisk(core.as, "work");
  await core.untilDisk("work", ({ phase }) => phase === "available");
  const kept = await objects(paths.snapshots);
  await deleteDisk(core.as, "work");
  core.skip(40 * DAY);
  const key = diskKey(core.as.actor.uid, uid);
  await fixture.eventually(
    () => core.ctx.table.get(key),
    (item) => item?.phase === "purged",
  );

  expect([renamed.updated, renamed.errors, names]).toEqual([1, [], ["work", "work"]]);
  expect([second.printed, third.printed]).toEqual(["one\n", "one\ntwo\n"]);
  expect(third.notes).toContainEqual(expect.stringMatching(/^Disk 'work' restored from its backup of /));
  expect(kept).toHaveLength(3);
  await fixture.eventually(left, (objects) => objects.length === 0);
});

/** Advances the time that counts for a missing volume: at most two minutes between two reconciles. */
async function missUntilReplaced(lost: string | undefined): Promise<void> {
  for (;;) {
    const { volume, volumeMissedAgainAt: noted } = await core.untilDisk("work", () => true);
    if (volume?.id !== lost) return;
    core.skip(2 * MINUTE);
    await core.untilDisk("work", (disk) => disk.volume?.id !== lost || disk.volumeMissedAgainAt !== noted);
  }
}

/** Deletes the claim and its volume, as from a console. */
async function loseVolume(id: string): Promise<void> {
  const { admin } = fixture.cluster;
  const claim = `${paths.claims}/${id.split(".")[0]}`;
  const { spec } = must(await admin.get<KubeObject & { spec: { volumeName: string } }>(claim));
  await admin.remove(claim);
  await admin.remove(`${persistentVolumes}/${spec.volumeName}`);
  await removed(admin, claim);
  await removed(admin, `${persistentVolumes}/${spec.volumeName}`);
}

async function left(): Promise<string[]> {
  const lists = [paths.claims, paths.snapshots, persistentVolumes, `${snapshotPath}/volumesnapshotcontents`];
  const found = (await Promise.all(lists.map(objects))).flat().map(({ metadata }) => metadata.name);
  return [...found, ...(await fixture.cluster.kubelet.disks.handles("snapshots"))];
}
