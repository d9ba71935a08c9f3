import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../fixture.ts";
import { type Copy, describeFailure, findCopy } from "./copy.ts";
import { volumeData } from "./volume-directory.ts";
import { type ProcessVolumes, processVolumes } from "./volumes.ts";

const tags = { name: "data", disk: "d", attempt: "a-r1-1" };
const empty = { token: "t", sizeGb: 10, zone: "z", snapshotId: undefined };

let home: string;
let opened: ProcessVolumes[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-volumes-"));
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((volumes) => volumes.shutdown()));
  rmSync(home, { recursive: true });
});

function openVolumes(copy: Copy = findCopy()): ProcessVolumes {
  const volumes = processVolumes({ home, copy });
  opened.push(volumes);
  return volumes;
}

/** Returns a copier that waits until it is released or aborted. */
function heldCopy() {
  const { promise, resolve } = Promise.withResolvers<void>();
  let copies = 0;
  const copy: Copy = async (_, to, signal) => {
    copies += 1;
    writeFileSync(join(to, "half"), "half of it");
    const aborted = new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    await Promise.race([promise, aborted]);
  };
  return { copy, letGo: resolve, copies: () => copies };
}

const failing =
  (error: unknown): Copy =>
  async (_, to) => {
    writeFileSync(join(to, "half"), "half of it");
    throw error;
  };

async function newVolume(volumes: ProcessVolumes, text = "kept"): Promise<string> {
  const { id } = await volumes.createVolume(empty);
  writeFileSync(join(volumeData(home, id), "file"), text);
  return id;
}

async function getSnapshot(volumes: ProcessVolumes, volume: string): Promise<string> {
  const { id } = await volumes.createSnapshot(volume, tags);
  await eventually(
    () => volumes.findSnapshot(id),
    (found) => found?.state === "completed",
  );
  return id;
}

const findState = async (volumes: ProcessVolumes, id: string) => (await volumes.findSnapshot(id))?.state;
const filesNamed = (name: string) =>
  readdirSync(home, { recursive: true }).filter((file) => String(file).endsWith(`/${name}`));

describe("volumes listed by a token", () => {
  it("are listed only after a running restore", async () => {
    const volumes = openVolumes();
    const snapshotId = await getSnapshot(volumes, await newVolume(volumes));
    const { copy, letGo, copies } = heldCopy();
    const restoring = openVolumes(copy);
    const wanted = { ...empty, token: "r", snapshotId };

    const restore = restoring.createVolume(wanted);
    const listed = restoring.listVolumes("r");
    await eventually(copies, (count) => count === 1);
    letGo();

    expect((await listed).map(({ id }) => id)).toEqual([(await restore).id]);
    await expect(restoring.createVolume({ ...wanted, zone: "elsewhere" })).rejects.toThrow("another volume");
  });
});

describe("a snapshot", () => {
  it("is pending until its copy is complete, and cannot be restored before", async () => {
    const { copy, letGo } = heldCopy();
    const volumes = openVolumes(copy);
    const { id } = await volumes.createSnapshot(await newVolume(volumes), tags);

    const meanwhile = await findState(volumes, id);
    const restore = volumes.createVolume({ ...empty, token: "r", snapshotId: id });

    await expect(restore).rejects.toThrow("There is no such completed snapshot");
    expect(meanwhile).toBe("pending");
    letGo();
    await eventually(
      () => findState(volumes, id),
      (state) => state === "completed",
    );
  });

  it("fails with its copy, frees its space and cannot be restored", async () => {
    const volumes = openVolumes(failing(new Error("no")));

    const { id } = await volumes.createSnapshot(await newVolume(volumes), tags);

    await eventually(
      () => findState(volumes, id),
      (state) => state === "failed",
    );
    await eventually(
      () => filesNamed("half"),
      (files) => files.length === 0,
    );
    await expect(volumes.createVolume({ ...empty, token: "r", snapshotId: id })).rejects.toThrow("no such completed");
  });

  it("fails on a full disk with a log line, and keeps the volume", async () => {
    const seen: unknown[] = [];
    const log = { info() {}, error() {}, warn: (event: string, fields = {}) => void seen.push({ event, ...fields }) };
    const full: Copy = async (_, to) => {
      writeFileSync(join(to, "half"), "half of it");
      await describeFailure(() => writeFileSync("/dev/full", "x"));
    };
    const volumes = processVolumes({ home, copy: full, log });
    opened.push(volumes);
    const volume = await newVolume(volumes);

    const { id } = await volumes.createSnapshot(volume, tags);
    await eventually(
      () => findState(volumes, id),
      (state) => state === "failed",
    );

    await eventually(
      () => filesNamed("half"),
      (files) => files.length === 0,
    );
    const error = "VolumeRefused: There is no space left on the disk of this machine";
    expect(seen).toEqual([{ event: "snapshot not copied", snapshot: id, error }]);
    expect(await volumes.findVolume(volume)).toMatchObject({ id: volume });
    expect(readFileSync(join(volumeData(home, volume), "file"), "utf8")).toBe("kept");
  });

  it("fails if its copier is killed, and the next start frees its space", async () => {
    const volumes = openVolumes();
    const volume = await newVolume(volumes);
    const id = await snapshotElsewhere(volume, async () => {
      const [pending] = await volumes.listSnapshots(volume);
      expect(pending?.state).toBe("pending");
    });

    const after = await findState(volumes, id);
    await volumes.adopt();

    expect(after).toBe("failed");
    expect(await volumes.listSnapshots(volume)).toMatchObject([{ id, state: "failed", tags }]);
    expect(filesNamed("half")).toEqual([]);
    await getSnapshot(volumes, volume);
  });

  it("fails if the stack stops, and its copy ends", async () => {
    const volumes = openVolumes(heldCopy().copy);
    const { id } = await volumes.createSnapshot(await newVolume(volumes), tags);

    await volumes.shutdown();

    expect(await findState(volumes, id)).toBe("failed");
    await expect(volumes.createSnapshot(await newVolume(openVolumes()), tags)).rejects.toThrow("being stopped");
  });
});

describe("a restored volume", () => {
  it("appears only when complete, and a repeated call waits for the same copy", async () => {
    const volumes = openVolumes();
    const snapshotId = await getSnapshot(volumes, await newVolume(volumes));
    const { copy, letGo, copies } = heldCopy();
    const slow = openVolumes(copy);

    const both = [1, 2].map(() => slow.createVolume({ ...empty, token: "r", snapshotId }));
    await eventually(
      () => filesNamed("half"),
      (files) => files.length > 0,
    );
    const meanwhile = readdirSync(join(home, "volumes")).filter((name) => name.startsWith("vol-"));
    letGo();

    expect(meanwhile).toHaveLength(1);
    const [first, second] = await Promise.all(both);
    expect(first).toEqual(second);
    expect([copies(), filesNamed("half").length]).toEqual([1, 1]);
  });

  it("is refused on a full disk with a clear message, and can be retried", async () => {
    const volumes = openVolumes();
    const snapshotId = await getSnapshot(volumes, await newVolume(volumes));
    const wanted = { ...empty, token: "r", snapshotId };
    const full: Copy = async () => writeFileSync("/dev/full", "x");

    const refused = openVolumes(full).createVolume(wanted);

    await expect(refused).rejects.toMatchObject({
      name: "VolumeRefused",
      message: "There is no space left on the disk of this machine",
    });
    expect(readdirSync(join(home, "volumes")).filter((name) => name.startsWith(".new"))).toEqual([]);
    const { id } = await volumes.createVolume(wanted);
    expect(readFileSync(join(volumeData(home, id), "file"), "utf8")).toBe("kept");
  });

  it("is deleted at the next start if incomplete", async () => {
    const volumes = openVolumes();
    const snapshotId = await getSnapshot(volumes, await newVolume(volumes));
    const held = openVolumes(heldCopy().copy);
    const making = held.createVolume({ ...empty, token: "r", snapshotId }).catch(String);
    await eventually(
      () => filesNamed("half"),
      (files) => files.length > 0,
    );

    await volumes.adopt();

    expect(filesNamed("half")).toEqual([]);
    await held.shutdown();
    expect(await making).toContain("Abort");
  });
});

/** Begins a snapshot in another process, which never finishes it and is killed after `meanwhile`. */
async function snapshotElsewhere(volume: string, meanwhile: () => Promise<void>): Promise<string> {
  const module = fileURLToPath(new URL("./volumes.ts", import.meta.url));
  const script = `
    import { writeFileSync } from "node:fs";
    const { processVolumes } = await import(${JSON.stringify(module)});
    const copy = async (from, to) => {
      writeFileSync(to + "/half", "half of it");
      await new Promise((resolve) => setTimeout(resolve, 3_600_000));
    };
    const volumes = processVolumes({ home: ${JSON.stringify(home)}, copy });
    const { id } = await volumes.createSnapshot(${JSON.stringify(volume)}, ${JSON.stringify(tags)});
    console.log(id);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
  });
  let id = "";
  child.stdout.on("data", (part) => {
    id += String(part);
  });
  try {
    await eventually(
      () => id.trim(),
      (text) => text !== "" && existsSync(join(home, "snapshots", text, "unfinished", "half")),
    );
    await meanwhile();
  } finally {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    await sleep(1);
  }
  return id.trim();
}

describe("a replaced directory, for example with a missing mount", () => {
  const away = (place: string) => renameSync(join(home, place), join(home, `${place}.off`));

  it.each(["volumes", "snapshots"])(
    "is refused at the start, for %s, until it is restored or given up",
    async (place) => {
      const volume = await newVolume(openVolumes());
      away(place);

      const said = `${join(home, place)} is not the directory with this stack's disks`;
      expect(() => openVolumes()).toThrow(said);
      mkdirSync(join(home, place));
      expect(() => openVolumes()).toThrow(said);
      rmSync(join(home, place), { recursive: true });
      renameSync(join(home, `${place}.off`), join(home, place));
      expect(await openVolumes().findVolume(volume)).toBeDefined();
      away(place);
      rmSync(join(home, "mark"));
      expect(await openVolumes().listVolumes("other")).toEqual([]);
    },
  );

  it("is an error while the stack runs, not a sign of deletion", async () => {
    const volumes = openVolumes();
    const volume = await newVolume(volumes);
    const snapshot = await getSnapshot(volumes, volume);
    away("volumes");
    mkdirSync(join(home, "volumes"));

    const input = [
      () => volumes.findVolume(volume),
      () => volumes.findSnapshot(snapshot),
      () => volumes.listVolumes(empty.token),
      () => volumes.listSnapshots(volume),
      () => volumes.createVolume({ ...empty, token: "next" }),
      () => volumes.createSnapshot(volume, tags),
    ];

    for (const ask of input) await expect(ask()).rejects.toThrow("is not the directory");
  });
});
