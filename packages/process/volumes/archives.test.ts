import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../fixture.ts";
import { writeEnd } from "../runs/records.ts";
import { makeRunDirectory } from "../runs/run-directory.ts";
import { findProcess } from "../supervisor/process-identity.ts";
import { volumeData } from "./volume-directory.ts";
import { type ProcessVolumes, processVolumes } from "./volumes.ts";

const owner = { uid: "a".repeat(32), key: "owner#o#env#session-manager|one" };
const blob = "archives/owner/workspace-1";

describe("an archive of a volume", () => {
  let home: string;
  let blobs: string;
  let opened: ProcessVolumes[];
  let volumes: ProcessVolumes;
  let volume: string;

  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), "berth-archives-"));
    blobs = join(home, "blobs");
    opened = [];
    volumes = open();
    volume = (await volumes.createVolume({ token: "t", sizeGb: 1, zone: "z", snapshotId: undefined })).id;
  });
  afterEach(async () => {
    await Promise.all(opened.map((processVolumes) => processVolumes.shutdown()));
    rmSync(home, { recursive: true });
  });

  function open(): ProcessVolumes {
    const entry = processVolumes({ home, blobs });
    opened.push(entry);
    return entry;
  }
  const put = (name: string, text: string | Buffer) => writeFileSync(join(volumeData(home, volume), name), text);
  const over = (name = blob) =>
    eventually(
      () => volumes.findArchive(name),
      (found) => found?.state !== "pending",
    );
  const drafts = () => (existsSync(blobs) ? readdirSync(blobs).filter((name) => name.startsWith(".")) : []);
  const fill = (megabytes: number) => {
    const noise = randomBytes(1024 * 1024);
    for (let n = 0; n < megabytes; n += 1) put(`noise-${n}`, noise);
  };

  const archiverPid = (): number => {
    const [name = ""] = readdirSync(join(home, "archives"));
    return JSON.parse(readFileSync(join(home, "archives", name), "utf8")).archiver.pid;
  };
  /** Blocks this process for a moment, so that it handles no event. */
  const pauseHere = () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  /** Stops the archiver right after its start, until the returned function is called. */
  const pause = () => {
    const pid = archiverPid();
    process.kill(pid, "SIGSTOP");
    return () => process.kill(pid, "SIGCONT");
  };

  it("appears in the directory of Blobs under its name, readable only by its owner", async () => {
    put("file", "kept");

    await volumes.startArchive(volume, blob, owner);
    const begun = await volumes.findArchive(blob);
    const made = await over();

    expect(begun?.state).toBe("pending");
    const bytes = readFileSync(join(blobs, blob));
    expect(made).toEqual({ state: "completed", bytes: bytes.length });
    expect(bytes.subarray(0, 2).toString()).toBe("PK");
    expect(drafts()).toEqual([]);
  });

  it("completes after its first archiver was killed, even if that exit arrives while the second one works", async () => {
    fill(8);
    await volumes.startArchive(volume, blob, owner);
    const first = archiverPid();
    process.kill(first, "SIGKILL");
    while (findProcess(first)) pauseHere();
    await volumes.endArchive(blob, owner);
    await volumes.startArchive(volume, blob, owner);
    // Handle no event of the first one's end before the second one has its draft.
    while (drafts().length === 0) pauseHere();

    const made = await over();

    expect(made?.state).toBe("completed");
  });

  it("is refused while a run can change the volume", async () => {
    const run = join(home, "runs", `${"0".repeat(32)}-r1`);
    const record = { key: "k", image: "i", nodes: [], volumes: [volume] };
    makeRunDirectory(run, 1, { "run.json": JSON.stringify(record) });

    await expect(volumes.startArchive(volume, blob, owner)).rejects.toThrow("The volume is still in use");
    writeEnd(run, { started: true, exitCode: 0, reason: null });
    await volumes.startArchive(volume, blob, owner);

    expect(await over()).toMatchObject({ state: "completed" });
  });

  it("is made by another process, so that this one stays responsive", async () => {
    fill(1);

    await volumes.startArchive(volume, blob, owner);
    const goOn = pause();
    // A new process has no command line for a moment.
    const making = await eventually(
      async () => processesOn(home),
      (pids) => pids.length > 0,
    );
    const meanwhile = [making, await volumes.findArchive(blob)];
    goOn();
    const made = await over();

    expect(meanwhile).toMatchObject([[archiverPid()], { state: "pending" }]);
    expect(made?.state).toBe("completed");
    expect(made?.bytes).toBeGreaterThan(1024 * 1024);
  });

  it("fails if the stack stops, without a retry or leftovers", async () => {
    fill(40);
    await volumes.startArchive(volume, blob, owner);

    await volumes.shutdown();

    expect(await volumes.findArchive(blob)).toEqual({ state: "failed", bytes: 0 });
    expect([drafts(), existsSync(join(blobs, blob))]).toEqual([[], false]);
    const later = open();
    await later.startArchive(volume, blob, owner);
    expect(await later.findArchive(blob)).toMatchObject({ state: "failed" });
    await expect(volumes.startArchive(volume, "archives/other", owner)).rejects.toThrow("being stopped");
  });

  it("continues when the stack is killed, and the next stack follows it", async () => {
    fill(1);
    await volumes.startArchive(volume, blob, owner);
    const goOn = pause();

    const later = open();
    await later.adopt();
    const meanwhile = await later.findArchive(blob);
    await later.startArchive(volume, blob, owner);
    goOn();

    expect(meanwhile?.state).toBe("pending");
    expect(await over()).toMatchObject({ state: "completed" });
  });

  it("fails if its archiver is killed, and the next start frees its space", async () => {
    fill(40);
    await volumes.startArchive(volume, blob, owner);
    const [draft = ""] = await eventually(drafts, (found) => found.length > 0);

    process.kill(archiverPid(), "SIGKILL");

    expect(await over()).toMatchObject({ state: "failed" });
    await eventually(drafts, (found) => found.length === 0);
    writeFileSync(join(blobs, draft), "left by a stack that was killed");
    await open().adopt();
    expect([drafts(), existsSync(join(blobs, blob))]).toEqual([[], false]);
  });

  it("is forgotten if it is ended early, while another of the same volume continues", async () => {
    fill(40);
    await volumes.startArchive(volume, blob, owner);
    await volumes.startArchive(volume, "archives/other", owner);

    await volumes.endArchive(blob, owner);

    expect(await volumes.findArchive(blob)).toBeUndefined();
    expect(existsSync(join(blobs, blob))).toBe(false);
    expect(await over("archives/other")).toMatchObject({ state: "completed" });
    expect(drafts()).toEqual([]);
  });

  it("ends when its volume is removed", async () => {
    fill(40);
    await volumes.startArchive(volume, blob, owner);

    await volumes.removeVolume(volume);

    expect(await volumes.findArchive(blob)).toMatchObject({ state: "failed" });
    expect([drafts(), existsSync(join(blobs, blob))]).toEqual([[], false]);
  });
});

function processesOn(directory: string): number[] {
  const pids = readdirSync("/proc").map(Number).filter(Boolean);
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`\0${directory}/`);
    } catch {
      return false;
    }
  });
}
