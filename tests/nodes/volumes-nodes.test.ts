import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { listingBlob } from "#core/disks/backups/content.ts";
import type { Run } from "#core/ports/compute.ts";
import type { SnapshotTags, Volumes } from "#core/ports/volumes.ts";
import { RunNotTaken } from "#core/problem.ts";
import { toolsImage } from "../../scripts/images/tools-image.ts";
import { removed } from "../cluster/cluster.ts";
import { openVolumesFixture, paths, type VolumesFixture, zone } from "./volumes-fixture.ts";

let fixture: VolumesFixture;
let volumes: Volumes;
let made = 0;

beforeAll(async () => {
  fixture = await openVolumesFixture();
  volumes = fixture.getVolumes();
});

// A start that fails leaves no fixture.
afterAll(() => (fixture as VolumesFixture | undefined)?.stop());

/** Returns the id of a new disk, whose volume is created on the node of its first run. */
async function newDisk(snapshotId?: string): Promise<string> {
  const { id } = await volumes.createVolume({ token: `disk-${++made}`, sizeGb: 1, zone, snapshotId });
  return id;
}

/** Applies a run with a disk, and retries like the core while the disk is in use by an earlier run. */
async function applied(disk: string, changes: Partial<Run>): Promise<Run> {
  const mounts = [{ volume: { id: disk, zone }, path: "/workspace" }];
  for (;;) {
    try {
      return await fixture.applied({ mounts, ...changes });
    } catch (error) {
      if (!(error instanceof RunNotTaken)) throw error;
      await sleep(50);
    }
  }
}

const onNode = (node: string) => ({ shares: [{ node, units: 1 }] });
const ready = (run: Run) => fixture.until(run, (seen) => seen?.state === "ready");
const inShell = (run: Run, script: string) => fixture.exec(run, ["sh", "-c", script]);

async function remove({ uid }: Run): Promise<void> {
  await fixture.compute.remove(uid, 1, { graceSeconds: 0, force: false });
  await fixture.eventually(
    () => fixture.compute.observe(uid, 1),
    (seen) => seen === undefined,
  );
}

/** Runs a command with the disk to its end, and returns its output. */
async function output(disk: string, command: string, node = "one"): Promise<string> {
  const run = await applied(disk, { command, ...onNode(node) });
  const end = await fixture.until(run, (seen) => seen?.state === "ended");
  const log = await fixture.logUntil(run, () => true);
  await remove(run);
  return `${log}exit ${end?.exitCode}`;
}

/** Waits until Volumes report that the disk is on no node. */
async function released(disk: string): Promise<void> {
  await fixture.eventually(
    () => volumes.findVolume(disk),
    (volume) => volume?.attached === false,
  );
}

const newTags = (attempt: string): SnapshotTags => ({ name: "data", disk: "d".repeat(32), attempt });

async function completed(id: string, of = volumes): Promise<void> {
  await fixture.eventually(
    () => of.findSnapshot(id),
    (snapshot) => snapshot?.state === "completed",
  );
}

describe("a disk on real nodes", () => {
  afterEach(() => fixture.clear());

  it("keeps the data of a run for the next one on the other node, and is released once unmounted", async () => {
    const disk = await newDisk();

    const first = await output(disk, "echo one > /workspace/file; stat -fc %T /workspace");
    await released(disk);
    const mounts = await fixture.listMounts();
    const second = await output(disk, "cat /workspace/file", "two");

    expect([first, second]).toEqual(["ext2/ext3\nexit 0", "one\nexit 0"]);
    expect(mounts).toEqual([]);
  });

  it("is the home of a run, also in /etc/passwd, which ssh-keygen reads", async () => {
    const mounts = [{ volume: { id: await newDisk(), zone }, path: "/workspace" }];
    const run = await fixture.applied({ mounts }, { toolsImage });
    await ready(run);

    const shown = await inShell(run, 'echo "$HOME"; getent passwd root; ls -l /etc/passwd; cd /; eval echo ~root');
    const withoutTools = await applied(await newDisk(), { ...onNode("two") });
    await ready(withoutTools);

    expect(shown.stdout.split("\n")).toEqual([
      "/workspace",
      "root:x:0:0:root:/workspace:/bin/bash",
      expect.stringMatching(/^-rw-r--r-- 1 root root /),
      "/workspace",
      "",
    ]);
    expect((await inShell(withoutTools, 'echo "$HOME"')).stdout).toBe("/workspace\n");
  });

  it("is mounted by one run at a time, and the next one waits with a reason", async () => {
    const disk = await newDisk();
    const first = await applied(disk, onNode("one"));
    await ready(first);
    const second = await applied(disk, onNode("two"));

    const waits = await fixture.until(second, (seen) => seen?.reason != null);
    await remove(first);
    await ready(second);

    expect(waits).toMatchObject({ state: "unbound", reason: expect.stringContaining("ReadWriteOncePod") });
  });

  it("that is full fails writes with a message, keeps its data, and takes more once there is room", async () => {
    const disk = await newDisk();
    const fill =
      "cd /workspace; echo kept > kept; n=0; while fallocate -l 50M fill-$n 2>/dev/null; do n=$((n+1)); done";

    const full = await output(
      disk,
      `${fill}; dd if=/dev/zero of=more bs=1M count=100 2>&1 | grep -o 'No space.*'; exit 9`,
    );
    const again = await output(
      disk,
      "cd /workspace; rm fill-0; dd if=/dev/zero of=fits bs=1M count=10 2>/dev/null; cat kept",
    );

    expect([full, again]).toEqual(["No space left on device\nexit 9", "kept\nexit 0"]);
  });

  it("stays attached while its node does not unmount it", async () => {
    const disk = await newDisk();
    const heal = await fixture.disks.fail("NodeUnstageVolume", "the device is busy");
    onTestFinished(heal);
    await output(disk, "echo one > /workspace/file");

    const left = await fixture.eventually(fixture.listMounts, (mounts) => mounts.length === 1);
    const during = await volumes.findVolume(disk);
    await heal();
    await released(disk);

    expect(left).toEqual([expect.stringMatching(/^one .*\/globalmount$/)]);
    expect(during).toMatchObject({ attached: true });
    expect(await fixture.listMounts()).toEqual([]);
  });

  it("stays mounted while the kubelet is killed, and the next kubelet unmounts it after its run", async () => {
    const disk = await newDisk();
    const command = "until [ -e /workspace/end ]; do sleep 0.1; done; echo one > /workspace/file";
    const run = await applied(disk, { command });
    await ready(run);
    const { kubelet } = fixture.getNode("one").programs;
    await kubelet.kill();
    const during = await fixture.listMounts();
    const [mount] = during;
    await fixture.getNode("one").machine.run("touch", [`${mount?.split(" ")[1]}/end`]);

    kubelet.start();
    const end = await fixture.until(run, (seen) => seen?.state === "ended");
    await remove(run);
    await released(disk);
    const after = await fixture.listMounts();

    expect(during).toHaveLength(2);
    expect([end?.exitCode, after]).toEqual([0, []]);
    expect(await output(disk, "cat /workspace/file", "two")).toBe("one\nexit 0");
  });

  it("waits with the driver's reason until a volume can be created, and without one after that", async () => {
    const reason = "StatusCode: 403, RequestID: 1f-2a, api error UnauthorizedOperation: You are not authorized";
    const heal = await fixture.disks.fail("CreateVolume", reason);
    onTestFinished(heal);
    const run = await applied(await newDisk(), {});

    const failed = await fixture.until(run, (seen) => seen?.reason?.startsWith("Its volume could not") ?? false);
    await heal();
    const later = await ready(run);

    expect(failed).toMatchObject({
      state: "unbound",
      reason: expect.stringMatching(
        /^Its volume could not be created: .*UnauthorizedOperation: You are not authorized$/,
      ),
    });
    expect(failed?.reason).not.toContain("1f-2a");
    expect(later?.reason).toBeNull();
  });
});

describe("a snapshot on real nodes", () => {
  afterEach(() => fixture.clear());

  it("of a disk in use holds what was synced before, and can be restored on the other node", async () => {
    const disk = await newDisk();
    const run = await applied(disk, onNode("one"));
    await ready(run);
    await inShell(run, "echo before > /workspace/file; sync");

    const { id } = await volumes.createSnapshot(disk, newTags("a-r1-1"));
    await completed(id);
    await inShell(run, "echo after > /workspace/file; sync");
    const restored = await output(await newDisk(id), "cat /workspace/file", "two");

    expect(restored).toBe("before\nexit 0");
    expect(await inShell(run, "cat /workspace/file")).toMatchObject({ stdout: "after\n" });
  });

  it("is pending while the driver refuses it, fails once that lasts, and completes after that", async () => {
    const disk = await newDisk();
    await output(disk, "echo kept > /workspace/file");
    await released(disk);
    const heal = await fixture.disks.fail("CreateSnapshot", "SnapshotCreationPerVolumeRateExceeded");
    onTestFinished(heal);

    const { id, state } = await volumes.createSnapshot(disk, newTags("a-r1-1"));
    const impatient = fixture.getVolumes({ patienceMs: 0 });
    await fixture.eventually(
      () => impatient.findSnapshot(id),
      (snapshot) => snapshot?.state === "failed",
    );
    const patient = await volumes.findSnapshot(id);
    await heal();
    await completed(id);

    expect([state, patient?.state]).toEqual(["pending", "pending"]);
    expect(await output(await newDisk(id), "cat /workspace/file")).toBe("kept\nexit 0");
  });

  it("has the list of the files that its run left", async () => {
    const { supervised: compute, blobs } = fixture;
    const listed = fixture.getVolumes({ blobs });
    const disk = await newDisk();
    const command = "mkdir /workspace/deep; echo two > /workspace/deep/file";
    const plain = await applied(disk, {});
    await remove(plain);
    const run: Run = { ...plain, uid: "a".repeat(32), command };
    await compute.apply(run);
    await fixture.eventually(
      () => compute.observe(run.uid, 1),
      (seen) => seen?.state === "ended",
    );

    await compute.remove(run.uid, 1, { graceSeconds: 0, force: false });
    await remove(run);
    const { id } = await listed.createSnapshot(disk, newTags(`${run.uid}-r1-1`));
    const bytes = await blobs.get(listingBlob(id));

    expect(new TextDecoder().decode(bytes)).toMatch(/^\.:\ndeep\n.*\n\.\/deep:\nfile\n/s);
  });
});

describe("an EBS volume on real nodes", () => {
  afterEach(() => fixture.clear());

  it("keeps the data of a run for the next one on the other node, without objects in between", async () => {
    const volume = "vol-0123456789abcdef0";
    await fixture.disks.add(volume, 1);
    const gone = async () => {
      for (const path of [`${paths.claims}/${volume}`, `/api/v1/persistentvolumes/berth-${volume}`])
        await removed(fixture.cluster.admin, path);
    };

    const first = await output(volume, "echo one > /workspace/file");
    await gone();
    const second = await output(volume, "cat /workspace/file", "two");
    await gone();

    expect([first, second]).toEqual(["exit 0", "one\nexit 0"]);
    expect(await fixture.disks.list("volumes")).toContain(volume);
  });

  it("that cannot be attached leaves its run waiting with the reason, until it can", async () => {
    const volume = "vol-0fedcba9876543210";
    const run = await applied(volume, {});

    const waits = await fixture.until(run, (seen) => seen?.reason?.includes("attached") ?? false);
    await fixture.disks.add(volume, 1);
    const later = await ready(run);

    const reason = `Its volume could not be attached yet: volume ${volume} not found`;
    expect(waits).toMatchObject({ state: "image", started: false, reason });
    expect(later?.reason).toBeNull();
  });
});

describe("the archive of a disk on real nodes", () => {
  afterEach(() => fixture.clear());

  it("is made by a pod that reads the disk, which is released after that", async () => {
    const owner = { uid: "a".repeat(32), key: "owner#o#env#session-manager|one" };
    const blob = "archives/o/one";
    const disk = await newDisk();
    await output(disk, "umask 077; echo words > /workspace/notes");

    await volumes.startArchive(disk, blob, owner);
    const archive = await fixture.eventually(
      () => volumes.findArchive(blob),
      (archive) => archive !== undefined && archive.state !== "pending",
    );
    await volumes.endArchive(blob, owner);
    await released(disk);

    const zip = fixture.s3.objects.get(blob);
    expect(archive).toEqual({ state: "completed", bytes: zip?.byteLength });
    expect(Buffer.from(zip ?? []).toString("latin1")).toContain("notes");
    expect(await output(disk, "cat /workspace/notes", "two")).toBe("words\nexit 0");
  });
});
