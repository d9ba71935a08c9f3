import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { listingBlob } from "#core/disks/backups/content.ts";
import type { Compute, Run } from "#core/ports/compute.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import { snapshotPath } from "#tests/cluster/disks/snapshot-api.ts";
import { must } from "#tests/cluster/objects.ts";
import { memoryBlobs } from "#tests/fakes/memory-blobs.ts";
import { kubernetesCompute } from "../compute.ts";
import { fixtureRun } from "../fixtures/cluster-fixture.ts";
import { openToolsFixture, type ToolsFixture } from "../fixtures/tools-fixture.ts";
import { buildPaths } from "../paths.ts";
import { kubernetesVolumes } from "../volumes.ts";

const blobs = memoryBlobs();
let fixture: ToolsFixture;
let compute: Compute;
let volumes: Volumes;
let disks = 0;

beforeAll(async () => {
  fixture = await openToolsFixture({ snapshots: true });
  const made = { metadata: { name: "ebs" }, driver: "ebs.csi.aws.com", deletionPolicy: "Delete" };
  const body = { apiVersion: "snapshot.storage.k8s.io/v1", kind: "VolumeSnapshotClass", ...made };
  must(await fixture.cluster.admin.post(`${snapshotPath}/volumesnapshotclasses`, body));
  compute = kubernetesCompute({ ...fixture.options, blobs });
  const { client, namespace, deployment } = fixture.options;
  volumes = kubernetesVolumes({ client, paths: buildPaths(namespace), deployment }, { now: Date.now, blobs });
});

afterEach(() => fixture.clear());
afterAll(() => fixture.stop());

/** Run with a disk: a directory of this machine with a file of an odd name. */
async function withDisk(changes: Partial<Run>): Promise<{ run: Run; volume: string; path: string }> {
  disks += 1;
  const path = join(fixture.files, `disk-${disks} $(HOME)`);
  mkdirSync(join(path, "deep"), { recursive: true });
  writeFileSync(join(path, "two\nlines\u001b[2J"), "");
  const zone = fixture.nodes[0]?.zone ?? "";
  const volume = await volumes.createVolume({ token: `t-${disks}`, sizeGb: 10, zone, snapshotId: undefined });
  const run = fixtureRun({ mounts: [{ volume, path }], ...changes });
  await compute.apply(run);
  return { run, volume: volume.id, path };
}

async function removed({ uid }: Run): Promise<void> {
  await fixture.eventually(
    async () => {
      await compute.remove(uid, 1, { graceSeconds: 10, force: false });
      return compute.observe(uid, 1);
    },
    (seen) => seen === undefined,
  );
}

const findContent = async (id: string) => {
  const bytes = await blobs.get(listingBlob(id));
  return bytes && new TextDecoder().decode(bytes);
};
const listed = ".:\ndeep\ntwo?lines?[2J\n\n./deep:\n";
const backedUp = (volume: string, { uid }: Run) =>
  volumes.createSnapshot(volume, { name: "data", disk: "d".repeat(32), attempt: `${uid}-r1-1` });

it("lists the files of a disk at the end of its run, for as long as its backup exists", async () => {
  const { run, volume } = await withDisk({ command: undefined });
  await fixture.ready(run);

  await removed(run);
  const { id } = await backedUp(volume, run);

  expect(await findContent(id)).toBe(listed);
  await volumes.removeSnapshot(id);
  expect(await findContent(id)).toBeUndefined();
});

it("lists those of a run whose command ended by itself", async () => {
  const { run, volume } = await withDisk({ command: "exit 3" });
  await fixture.ended(run);

  await removed(run);

  expect(await findContent((await backedUp(volume, run)).id)).toBe(listed);
});

it("lists what a command writes before it ends after SIGTERM", async () => {
  const disk = join(fixture.files, `disk-${disks + 1} $(HOME)`);
  const saves = `disk='${disk}'; trap 'touch "$disk/saved"; exit 0' TERM; touch "$disk/begun"`;
  const { run, volume } = await withDisk({ command: `${saves}; while :; do sleep 0.1; done` });
  await fixture.eventually(async () => existsSync(join(disk, "begun")), Boolean);

  await compute.terminate(run.uid, 1, 10);
  await fixture.ended(run);
  await removed(run);

  expect(await findContent((await backedUp(volume, run)).id)).toBe(
    ".:\nbegun\ndeep\nsaved\ntwo?lines?[2J\n\n./deep:\n",
  );
});

it("keeps the complete list from before the end if the termination message holds a part of it", async () => {
  const { run, volume, path } = await withDisk({ command: "while :; do sleep 0.1; done" });
  const names = Array.from({ length: 1_000 }, () => randomBytes(8).toString("hex"));
  for (const name of names) writeFileSync(join(path, name), "");
  await fixture.ready(run);

  await compute.terminate(run.uid, 1, 10);
  await fixture.ended(run);
  await removed(run);

  const content = (await findContent((await backedUp(volume, run)).id)) ?? "";
  expect(names.filter((name) => !content.includes(name))).toEqual([]);
  expect(content).not.toContain("The rest is left out");
});

it("gives no backup the list of an earlier run, and keeps none of a deleted volume", async () => {
  const { run, volume } = await withDisk({ command: undefined });
  await fixture.ready(run);
  await removed(run);

  const { id } = await backedUp(volume, fixtureRun());
  expect(await findContent(id)).toBeUndefined();
  await volumes.removeSnapshot(id);
  await volumes.removeVolume(volume);

  expect(await blobs.get(`listings/${volume.split(".")[0]}`)).toBeUndefined();
});

it("ends a run whose blobs do not answer, and backs its disk up", async () => {
  const put = () => Promise.reject(new Error("away"));
  const { run, volume } = await withDisk({ command: undefined });
  await fixture.ready(run);
  const without = kubernetesCompute({ ...fixture.options, blobs: { ...blobs, put } });

  await without.remove(run.uid, 1, { graceSeconds: 10, force: false });
  await removed(run);

  expect((await backedUp(volume, run)).id).not.toBe("");
});
