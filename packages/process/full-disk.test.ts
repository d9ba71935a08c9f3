import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { canSandbox } from "./sandbox-probe.ts";

const MIB = 1024 * 1024;
/** Room for the volume and for less than half of a copy. */
const SMALL_DISK_BYTES = 3 * MIB;
const VOLUME_BYTES = 2 * MIB;
const moduleOf = (name: string) => JSON.stringify(fileURLToPath(new URL(name, import.meta.url)));

/** Runs on a disk of its own, at /mnt: fills a volume, backs it up, makes room, backs it up again; prints what it sees. */
const program = `
  import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
  import { setTimeout as sleep } from "node:timers/promises";
  const { processVolumes } = await import(${moduleOf("./volumes.ts")});
  const { volumeData } = await import(${moduleOf("./volume-directory.ts")});

  const told = [];
  const log = { info() {}, error() {}, warn: (event, { error }) => told.push(event + ": " + error) };
  const volumes = processVolumes({ home: "/mnt", log });
  const { id } = await volumes.createVolume({ token: "t", sizeGb: 10, zone: "z", snapshotId: undefined });
  const file = (name) => volumeData("/mnt", id) + "/" + name;
  writeFileSync(file("large"), Buffer.alloc(${VOLUME_BYTES}, 7));

  const isTidy = () => readdirSync("/mnt/snapshots").every((name) => !name.startsWith("."));
  const backUp = async (attempt) => {
    const begun = await volumes.createSnapshot(id, { name: "data", disk: "d", attempt });
    for (let tries = 0; tries < 500; tries += 1) {
      const found = await volumes.findSnapshot(begun.id);
      if (found.state !== "pending" && isTidy()) return found;
      await sleep(10);
    }
  };
  const restore = (snapshot) =>
    volumes.createVolume({ token: "r", sizeGb: 10, zone: "z", snapshotId: snapshot.id }).then(
      () => "restored",
      (error) => error.name + ": " + error.message,
    );
  const full = await backUp("a-1");
  const copied = readdirSync("/mnt/snapshots/" + full.id);
  const restored = await restore(full);
  const kept = readFileSync(file("large")).every((byte) => byte === 7);
  const mounted = await volumes.findVolume(id);
  rmSync(file("large"));
  writeFileSync(file("small"), "fits");
  const after = await backUp("a-2");
  console.log(JSON.stringify({ full: full.state, copied, told, restored, kept, isThere: mounted !== undefined, after: after.state }));
`;

it("a full disk fails a backup and says so; nothing half copied counts, the volume stays, and with room it works again", async ({
  skip,
}) => {
  if (!canSandbox()) skip("this machine has no bubblewrap that works, which makes the small disk");
  const disk = ["--size", String(SMALL_DISK_BYTES), "--tmpfs", "/mnt"];
  const places = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", ...disk];

  const words = [...places, "--", process.execPath, "--input-type=module", "-e", program];
  const { stdout } = await promisify(execFile)("bwrap", words, { cwd: import.meta.dirname, timeout: 15_000 });

  expect(JSON.parse(stdout)).toEqual({
    full: "failed",
    copied: ["snapshot.json", "tags.json"],
    told: ["snapshot not copied: VolumeRefused: There is no space left on the disk of this machine"],
    restored: "VolumeRefused: There is no such completed snapshot",
    kept: true,
    isThere: true,
    after: "completed",
  });
});
