import { afterAll, beforeAll, expect, it } from "vitest";
import { createDisk } from "#core/disks/create.ts";
import { deleteDisk } from "#core/disks/requests.ts";
import { diskKey } from "#core/store/keys.ts";
import { snapshotPath } from "#tests/cluster/disks/snapshot-api.ts";
import { must } from "#tests/cluster/objects.ts";
import { type ClusterFixture, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { backups, type CoreFixture, startCore } from "../fixtures/core-fixture.ts";
import type { KubeObject } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import { kubernetesVolumes } from "../volumes.ts";

const LONGEST_MS = 300_000;
const DAY = 24 * 3_600_000;
const paths = buildPaths(namespace);
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

/** Runs a job that reads and writes a file of the disk. Returns what it read, and the disk after its backup. */
async function useDisk(id: string, word: string) {
  const command = `echo found $(cat "$WORKSPACE/file" 2>/dev/null); echo ${word} > "$WORKSPACE/file"`;
  await core.create(id, { command, disk: "data", gpus: 1 });
  await core.begun(id);
  const { log } = await core.until(id, ({ phase }) => phase === "completed" || phase === "failed");
  const printed = new TextDecoder().decode(await core.ctx.blobs.get(log?.blob ?? ""));
  return { printed, disk: await core.untilDisk("data", (disk) => backups(disk) === 1) };
}

it("a disk keeps its claim and its backup when the deleted disk of the same name is purged", {
  timeout: LONGEST_MS,
  retry: 0,
}, async () => {
  const { disk: old } = await useDisk("earlier", "old");
  await deleteDisk(core.as, "data");
  await createDisk(core.as, { name: "data", sizeGb: 10 });
  const { disk, printed } = await useDisk("later", "new");
  const both = await objects(paths.claims);

  core.skip(40 * DAY);
  await fixture.eventually(
    () => core.ctx.table.get(diskKey(core.as.actor.uid, old.uid)),
    (item) => item?.phase === "purged",
  );
  const claims = await fixture.eventually(
    () => objects(paths.claims),
    (left) => left.length < both.length,
  );
  const snapshots = await objects(paths.snapshots);

  expect([both.length, printed]).toEqual([2, "found\n"]);
  expect(claims.map(({ metadata }) => metadata.name)).toEqual([disk.volume?.id.split(".")[0]]);
  expect(snapshots.map(({ metadata }) => metadata.annotations?.["berth/disk"])).toEqual([disk.uid]);
});
