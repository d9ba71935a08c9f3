import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import type { VolumeRef } from "#core/ports/volumes.ts";
import { logText } from "#tests/fixtures/log-text.ts";
import { processCompute } from "../compute.ts";
import { eventually, type Fixture, fixtureNodes, openFixture } from "../fixture.ts";
import { canSandbox } from "../sandbox/sandbox-probe.ts";
import type { Locking } from "../supervisor/lock.ts";
import { volumeData } from "../volumes/volume-directory.ts";
import { type ProcessVolumes, processVolumes } from "../volumes/volumes.ts";
import type { Isolation } from "./records.ts";

const ways: readonly (readonly [Isolation, Locking])[] = [
  ["bubblewrap", "flock"],
  ["none", "file"],
];
const tags = { name: "data", disk: "d", attempt: "a-r1-1" };

describe.each(ways)("the workspace of a run, isolation %s", { retry: 0 }, (isolation, locking) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  let fixture: Fixture;
  let volumes: ProcessVolumes;
  let volume: VolumeRef;

  beforeEach(async () => {
    fixture = openFixture({ isolation, locking });
    volumes = processVolumes({ home: fixture.home });
    volume = await volumes.createVolume({ token: "t", sizeGb: 10, zone: "z", snapshotId: undefined });
  });
  afterEach(async () => {
    await volumes.shutdown();
    await fixture.close();
  });

  const onVolume = () => [{ volume, path: "/workspace" }];
  const onDisk = (name: string, id = volume.id) => join(volumeData(fixture.home, id), name);
  const run = async (changes: Partial<Run>) => {
    const { uid, run: n } = fixture.runOf(changes);
    await fixture.compute.apply(fixture.runOf(changes));
    await eventually(
      () => fixture.compute.observe(uid, n),
      (seen) => seen?.state === "ended",
    );
    return logText(fixture.compute.readLog(uid, n));
  };
  /** `apply` returns after half a second at the latest, on a busy machine before the run is ready. */
  const ready = (uid = fixture.uid) =>
    eventually(
      () => fixture.compute.observe(uid, 1),
      (seen) => seen?.state === "ready",
    );
  const attached = async () => (await volumes.findVolume(volume.id))?.attached;
  const gone = async (uid = fixture.uid) => {
    await fixture.compute.remove(uid, 1, { graceSeconds: 0, force: true });
    await eventually(
      () => fixture.compute.observe(uid, 1),
      (seen) => seen === undefined,
    );
  };

  it("is its disk, which the next run sees", async () => {
    const named = await run({
      mounts: onVolume(),
      command: 'echo one > $WORKSPACE/file; echo two >> ~/file; echo "$WORKSPACE"',
    });
    await gone();
    const seen = await run({ run: 2, mounts: onVolume(), command: "cat $WORKSPACE/file" });

    expect(named.trim()).toBe(isolation === "bubblewrap" ? "/workspace" : join(fixture.directory, "0/work/workspace"));
    expect(readFileSync(onDisk("file"), "utf8")).toBe("one\ntwo\n");
    expect(seen).toBe("one\ntwo\n");
  });

  it("is the home of a run with a disk, so that settings and histories survive", async () => {
    const input = 'mkdir -p ~/.local/bin; echo text > "$HOME/.local/bin/file"; echo text > .bash_history; pwd';
    const place = (await run({ mounts: onVolume(), command: input })).trim();
    await gone();
    const seen = await run({ run: 2, mounts: onVolume(), command: "cat ~/.local/bin/file ~/.bash_history" });

    expect(place).toBe(isolation === "bubblewrap" ? "/workspace" : volumeData(fixture.home, volume.id));
    expect(seen).toBe("text\ntext\n");
    expect(readdirSync(onDisk("")).toSorted()).toEqual([".bash_history", ".local"]);
  });

  it("keeps files of older runs beside its home", async () => {
    writeFileSync(onDisk("model.bin"), "weights");
    writeFileSync(onDisk(".profile"), "exit 9");

    const seen = await run({ mounts: onVolume(), command: "ls -A; cat model.bin" });

    expect(seen).toBe(".profile\nmodel.bin\nweights");
    expect((await fixture.observe())?.exitCode).toBe(0);
  });

  it("is a temporary directory without a disk", async () => {
    const seen = await run({ command: "echo x > $WORKSPACE/file && cat workspace/file" });
    const scratch = join(fixture.directory, "0/work/workspace/file");

    expect(seen).toBe("x\n");
    expect(existsSync(scratch)).toBe(true);
    await gone();
    expect(existsSync(scratch)).toBe(false);
    expect(existsSync(onDisk("file"))).toBe(false);
  });

  it("is the disk only in the first machine", async () => {
    const shares = fixtureNodes.map(({ name }) => ({ node: name, units: 8 }));

    await run({
      mounts: onVolume(),
      shares,
      gpusPerMachine: 8,
      command: "echo $NODE_RANK > $WORKSPACE/rank; sleep 0.3",
    });

    expect(readFileSync(onDisk("rank"), "utf8")).toBe("0\n");
  });

  it("is named by WORKSPACE regardless of the job, and the timeline says that no size is enforced", async () => {
    const seen = await run({ mounts: onVolume(), env: { WORKSPACE: "/elsewhere" }, command: "echo $WORKSPACE" });

    expect(seen).not.toContain("elsewhere");
    const { notes } = (await fixture.observe()) ?? {};
    expect(notes).toContain("disk at $WORKSPACE, its size not enforced");
    expect(notes?.filter((note) => note.startsWith("no disk"))).toEqual([]);
  });

  it("keeps its volume attached while a process of the run lives, without backup or removal", async () => {
    const before = await attached();
    await fixture.compute.apply(fixture.runOf({ mounts: onVolume() }));

    const during = await attached();
    const snapshot = volumes.createSnapshot(volume.id, tags);
    const removal = volumes.removeVolume(volume.id);

    expect([before, during]).toEqual([false, true]);
    await expect(snapshot).rejects.toThrow("The volume is still in use");
    await expect(removal).rejects.toThrow("The volume is still in use");
    await gone();
    expect(await attached()).toBe(false);
    expect((await volumes.createSnapshot(volume.id, tags)).state).toBe("pending");
  });

  it("stays attached after its supervisor was killed, until no process of the run lives", async () => {
    await fixture.compute.apply(fixture.runOf({ mounts: onVolume() }));
    await ready();

    process.kill(fixture.supervisorPid(), "SIGKILL");
    const justKilled = await attached();
    await fixture.ended();

    expect(justKilled).toBe(true);
    // The first observation reports the end and kills for only 200 ms; later ones kill the rest.
    const attachedAfterCheck = () => fixture.observe().then(attached);
    await eventually(attachedAfterCheck, (is) => is === false);
  });

  it("is never shared by two runs, even if both start at once", async () => {
    const uids = [1, 2, 3].map(() => randomBytes(16).toString("hex"));
    const computes = uids.map(() => processCompute(fixture.options));

    const applied = await Promise.allSettled(
      uids.map((uid, at) => computes[at]?.apply(fixture.runOf({ uid, mounts: onVolume() }))),
    );

    const refused = applied.filter((entry) => entry.status === "rejected").map((entry) => String(entry.reason));
    expect(refused.length).toBeGreaterThanOrEqual(2);
    expect(new Set(refused)).toEqual(new Set(["Error: The volume is in use by another run"]));
    expect((await fixture.compute.listRuns()).length).toBe(3 - refused.length);
  });

  it("is given to the next run once the first is gone", async () => {
    await fixture.compute.apply(fixture.runOf({ mounts: onVolume() }));
    const uid = randomBytes(16).toString("hex");
    await expect(fixture.compute.apply(fixture.runOf({ uid, mounts: onVolume() }))).rejects.toThrow(
      "in use by another run",
    );
    await gone();

    await fixture.compute.apply(fixture.runOf({ uid, mounts: onVolume() }));

    expect(await ready(uid)).toMatchObject({ state: "ready" });
  });

  it("keeps the processes of its next run when its last run, which ended sooner, would have been killed", async () => {
    await fixture.compute.apply(fixture.runOf({ mounts: onVolume(), command: "sleep 3600" }));
    await ready();
    const graceSeconds = 0.9;
    const killAt = performance.now() + graceSeconds * 1000;
    await fixture.compute.terminate(fixture.uid, 1, graceSeconds);
    await eventually(fixture.observe, (seen) => seen?.state === "ended");
    const uid = randomBytes(16).toString("hex");
    await fixture.compute.apply(fixture.runOf({ uid, mounts: onVolume(), command: "sleep 3600" }));
    await ready(uid);
    // The first run would have been killed by then.
    await sleep(Math.max(0, killAt - performance.now()) + 300);

    expect(await fixture.compute.observe(uid, 1)).toMatchObject({ state: "ready" });
  });

  it("is refused for a missing volume, or an id that is a path", async () => {
    for (const id of ["vol-0123456789abcdef", "..", "../../runs", "vol-\0", ""]) {
      const applying = fixture.compute.apply(
        fixture.runOf({ mounts: [{ volume: { id, zone: "z" }, path: "/workspace" }] }),
      );

      await expect(applying, id).rejects.toThrow(/volume/);
    }
    expect(await fixture.compute.listRuns()).toEqual([]);
  });

  // Without a sandbox a run sees the files of its user.
  if (isolation === "none") return;

  it("shows no other volume and no snapshot", async () => {
    const otherRef = await volumes.createVolume({ token: "o", sizeGb: 10, zone: "z", snapshotId: undefined });
    writeFileSync(onDisk("secret", otherRef.id), "of another disk");

    const seen = await run({
      mounts: onVolume(),
      command: `cat ${onDisk("secret", otherRef.id)}; ls -A ${fixture.home}; ls -A /workspace`,
    });

    expect(seen).not.toContain("of another disk");
    expect(seen).not.toContain("snapshots");
  });
});
