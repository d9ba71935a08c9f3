import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DescribeSnapshotsCommand, DescribeVolumesCommand, type EC2Client } from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ebsVolumes } from "#aws/ec2/ebs-volumes.ts";
import { type Ec2Clients, ec2Clients } from "#aws/ec2/ec2-client.ts";
import { restoreDisk } from "#core/disks/backups/from-snapshot.ts";
import { createDisk } from "#core/disks/create.ts";
import { renameDisk } from "#core/disks/names/rename.ts";
import type { Disk } from "#core/disks/record.ts";
import { deleteDisk, undeleteDisk } from "#core/disks/requests.ts";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { diskKey } from "#core/store/keys.ts";
import { MOTO_MISSING, startMoto } from "#tests/aws/moto.ts";
import { honourTokens } from "#tests/aws/moto-tokens.ts";
import { patient } from "#tests/aws/patient.ts";
import type { PretendDisks } from "#tests/cluster/disks/pretend-disks.ts";
import { must } from "#tests/cluster/objects.ts";
import { type ClusterFixture, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { backups, type CoreFixture, startCore } from "../fixtures/core-fixture.ts";
import type { KubeObject } from "../objects.ts";
import { buildPaths } from "../paths.ts";

const LONGEST_MS = 600_000;
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const paths = buildPaths(namespace);
const moto = await startMoto();
const address = {
  endpoint: moto?.endpoint ?? "",
  region: "us-east-1",
  credentials: { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined },
};
/** Berth's calls of EC2, with their results: `CreateVolume vol-…`. A retry after a late answer counts once. */
const calls = new Set<string>();
/** Copies of the fake kubelet by moto's snapshots. */
const copies = new Map<string, string>();
let clients: Ec2Clients;
/** Client of an outside observer. */
let observer: EC2Client;
let fixture: ClusterFixture;
let core: CoreFixture;

beforeAll(async () => {
  if (!moto) return;
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge", zone: "us-east-1b" }]);
  // A snapshot with a late answer is searched ten minutes later.
  clients = ec2Clients(address, patient);
  observer = ec2Clients(address, patient).client;
  honourTokens(clients.client);
  for (const client of [clients.client, clients.once]) {
    keepContents(client, fixture.cluster.kubelet.disks);
    note(client);
  }
  core = await startCore(fixture.compute, ebsVolumes({ ...clients, deployment: "fixture" }));
});

afterAll(async () => {
  if (!moto) return;
  await core.stop();
  for (const client of [clients.client, clients.once, observer]) client.destroy();
  await fixture.stop();
  await moto.stop();
});

function note(client: EC2Client): void {
  client.middlewareStack.add(
    (next, { commandName = "" }) =>
      async (args) => {
        const answer = await next(args);
        const { VolumeId, SnapshotId, Resources } = { ...(args.input as Subject), ...(answer.output as Subject) };
        const made = commandName.includes("Snapshot") ? SnapshotId : VolumeId;
        calls.add(`${commandName.replace("Command", "")} ${Resources?.join() ?? made ?? ""}`.trim());
        return answer;
      },
    { step: "initialize", name: "noted", priority: "high" },
  );
}

interface Subject {
  readonly VolumeId?: string;
  readonly SnapshotId?: string;
  readonly Resources?: readonly string[];
}

/** Moto's volumes hold nothing, so the fake kubelet keeps their contents by id. */
function keepContents(client: EC2Client, disks: PretendDisks): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const answer = await next(args);
        const input = args.input as Subject;
        const made = answer.output as Subject;
        if (commandName === "CreateVolumeCommand") {
          await disks.make(made.VolumeId ?? "", copies.get(input.SnapshotId ?? ""));
        }
        if (commandName === "CreateSnapshotCommand") {
          copies.set(made.SnapshotId ?? "", await disks.cut(input.VolumeId ?? "", made.SnapshotId ?? ""));
        }
        if (commandName === "DeleteVolumeCommand") await disks.remove(input.VolumeId ?? "");
        return answer;
      },
    { step: "initialize", name: "contents" },
  );
}

/** Output of a job with that disk until its end. */
async function printed(id: string, disk: string, command: string): Promise<string> {
  await core.create(id, { command, disk, gpus: 1 });
  await core.begun(id);
  const { log } = await core.until(id, ({ phase }) => phase === "completed" || phase === "failed");
  return new TextDecoder().decode(await core.ctx.blobs.get(log?.blob ?? ""));
}

/** Waits for the only volume's content: a job begins before its first line has run. */
async function written(name: string, text: string): Promise<void> {
  const { disks } = fixture.cluster.kubelet;
  await fixture.eventually(
    async () => {
      const [volume = ""] = await disks.handles("volumes");
      return readFile(join(disks.findDirectory(volume), name), "utf8").catch(() => "");
    },
    (found) => found === text,
  );
}

async function purged({ uid }: Disk): Promise<void> {
  const key = diskKey(core.as.actor.uid, uid);
  await fixture.eventually(
    () => core.ctx.table.get(key),
    (item) => item?.phase === "purged",
  );
}

/** Names of snapshots, as the console shows them. */
async function snapshotNames(): Promise<(string | undefined)[]> {
  const { Snapshots = [] } = await observer.send(new DescribeSnapshotsCommand({ OwnerIds: ["self"] }));
  const ownSnapshots = Snapshots.filter(({ Description = "" }) => Description.startsWith("Berth "));
  return ownSnapshots.map(({ Tags = [] }) => Tags.find(({ Key }) => Key === "Name")?.Value);
}

async function left(): Promise<unknown[]> {
  const { Volumes = [] } = await observer.send(new DescribeVolumesCommand({}));
  const lists = [paths.claims, "/api/v1/persistentvolumes"].map((path) =>
    fixture.cluster.admin.get<{ items: KubeObject[] }>(path),
  );
  const objects = (await Promise.all(lists)).flatMap((list) => must(list).items.map(({ metadata }) => metadata.name));
  return [...Volumes, ...(await snapshotNames()), ...objects];
}

it("a disk on EBS survives jobs, backups, a rename, a restore and an undelete, and leaves nothing", {
  timeout: LONGEST_MS,
  retry: 0,
}, async ({ skip }) => {
  if (!moto) skip(MOTO_MISSING);
  await createDisk(core.as, { name: "data", sizeGb: 10 });
  const forever = 'echo one >> "$WORKSPACE/file"; while :; do sleep 0.2; done';
  await core.create("first", { command: forever, disk: "data", gpus: 1 });
  await core.begun("first");
  await written("file", "one\n");
  await requestCancel(core.as, "first");
  await core.until("first", ({ phase }) => phase === "cancelled");
  const { snapshots } = await core.untilDisk("data", (disk) => backups(disk) === 1);

  const renamed = await renameDisk(core.as, "data", "work");
  const shown = await snapshotNames();
  const second = await printed("second", "work", 'cat "$WORKSPACE/file"; echo two >> "$WORKSPACE/file"');
  const work = await core.untilDisk("work", (disk) => backups(disk) === 2);

  const ids = { id: core.ctx.ids.uuid4(), uid: core.ctx.ids.uid() };
  await restoreDisk(core.as, "work", { snapshotId: snapshots[0]?.id ?? "", newName: "copy" }, ids);
  const third = await printed("third", "copy", 'cat "$WORKSPACE/file"');
  const copy = await core.untilDisk("copy", (disk) => backups(disk) === 1);

  await deleteDisk(core.as, "work");
  await core.untilDisk("work", ({ phase }) => phase === "deleted");
  core.skip(DAY);
  await undeleteDisk(core.as, "work");
  await core.untilDisk("work", ({ phase }) => phase === "available");
  const fourth = await printed("fourth", "work", 'cat "$WORKSPACE/file"');
  await core.untilDisk("work", (disk) => backups(disk) === 3);
  await deleteDisk(core.as, "work");
  await deleteDisk(core.as, "copy");
  core.skip(40 * DAY);
  await Promise.all([work, copy].map(purged));

  expect([renamed.updated, renamed.errors, shown]).toEqual([1, [], ["work"]]);
  expect([second, third, fourth]).toEqual(["one\n", "one\n", "one\ntwo\n"]);
  await fixture.eventually(left, (all) => all.length === 0);
  const names = [...calls].map((call) => call.split(" ")[0] ?? "");
  expect(Object.fromEntries(names.map((name) => [name, names.filter((entry) => entry === name).length]))).toEqual({
    CreateVolume: 2,
    CreateSnapshot: 4,
    CreateTags: 1,
    DeleteSnapshot: 4,
    DeleteVolume: 2,
    DescribeVolumes: 1,
    DescribeSnapshots: 1,
  });
});
