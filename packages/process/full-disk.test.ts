import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { PATIENCE_MS } from "./patience-fixture.ts";
import { canSandbox } from "./sandbox/sandbox-probe.ts";

const MIB = 1024 * 1024;
/** Room for the volume and less than half of a copy. */
const SMALL_DISK_BYTES = 3 * MIB;
const VOLUME_BYTES = 2 * MIB;
const getModule = (name: string) => JSON.stringify(fileURLToPath(new URL(name, import.meta.url)));

/** Fills a volume on its own disk at /mnt, backs it up, frees space, backs it up again, and prints the results. */
const program = `
  import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
  import { setTimeout as sleep } from "node:timers/promises";
  const { processVolumes } = await import(${getModule("./volumes/volumes.ts")});
  const { volumeData } = await import(${getModule("./volumes/volume-directory.ts")});

  const received = [];
  const log = { info() {}, error() {}, warn: (event, { error }) => received.push(event + ": " + error) };
  const volumes = processVolumes({ home: "/mnt", log });
  const { id } = await volumes.createVolume({ token: "t", sizeGb: 10, zone: "z", snapshotId: undefined });
  const file = (name) => volumeData("/mnt", id) + "/" + name;
  writeFileSync(file("large"), Buffer.alloc(${VOLUME_BYTES}, 7));

  const isTidy = () => readdirSync("/mnt/snapshots").every((name) => !name.startsWith("."));
  const backUp = async (attempt) => {
    const begun = await volumes.createSnapshot(id, { name: "data", disk: "d", attempt });
    for (;;) {
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
  console.log(JSON.stringify({ full: full.state, copied, received, restored, kept, isThere: mounted !== undefined, after: after.state }));
`;

it("a full disk fails a backup with the reason, keeps the volume and no partial copy, and backups work again with free space", {
  retry: 0,
}, async ({ skip }) => {
  if (!canSandbox()) skip("this machine has no working bubblewrap, which makes the small disk");
  const disk = ["--size", String(SMALL_DISK_BYTES), "--tmpfs", "/mnt"];
  const places = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", ...disk];

  const words = [...places, "--", process.execPath, "--input-type=module", "-e", program];
  const { stdout } = await promisify(execFile)("bwrap", words, { cwd: import.meta.dirname, timeout: PATIENCE_MS });

  expect(JSON.parse(stdout)).toEqual({
    full: "failed",
    copied: ["snapshot.json", "tags.json"],
    received: ["snapshot not copied: VolumeRefused: There is no space left on the disk of this machine"],
    restored: "VolumeRefused: There is no such completed snapshot",
    kept: true,
    isThere: true,
    after: "completed",
  });
});

/** Uses a disk of 6 MB at /mnt: starts an environment, fills the disk, requests a command, and frees space. */
const execProgram = `
  import { rmSync, writeFileSync } from "node:fs";
  import { setTimeout as sleep } from "node:timers/promises";
  const { processCompute } = await import(${getModule("./compute.ts")});

  const compute = processCompute({ home: "/mnt", isolation: "none", nodes: [] });
  const uid = "a".repeat(32);
  const run = {
    uid, run: 1, key: "k", name: "n", pool: "cpu-x86", instanceType: "c7i.8xlarge", image: "i", env: {},
    command: "sleep 600", shares: [{ node: "n", units: 1 }], gpusPerMachine: 0, mounts: [], ports: [], resources: null,
    until: Date.now() + 600_000,
  };
  const until = async (read, holds) => {
    for (;;) {
      const found = await read();
      if (holds(found)) return found;
      await sleep(20);
    }
  };
  const seen = () => compute.observe(uid, 1);
  const exec = (id) => compute
    .startExec(uid, 1, { id, words: ["/bin/sh", "-c", "echo said"], env: {}, stdin: "", timeoutMs: ${PATIENCE_MS} })
    .then(() => until(() => compute.readExec(uid, 1, id, 1_000), (one) => one?.state === "ended"))
    .then(({ exitCode, stdout }) => [exitCode, stdout], (error) => error.message);

  await compute.apply(run);
  await until(seen, (one) => one?.state === "ready");
  const before = await exec("before");
  try {
    for (const bytes of [65_536, 1_024]) {
      try {
        for (;;) writeFileSync("/mnt/filler", Buffer.alloc(bytes), { flag: "a" });
      } catch {}
    }
    var full = await exec("while-full");
    var state = (await seen()).state;
  } finally {
    rmSync("/mnt/filler");
  }
  const after = await exec("after");
  await compute.shutdown();
  console.log(JSON.stringify({ before, full, state, after }));
  process.exit(0);
`;

it("a full disk refuses a command with the reason but keeps the environment, and commands run again with free space", {
  retry: 0,
}, async ({ skip }) => {
  if (!canSandbox()) skip("this machine has no working bubblewrap, which makes the small disk");
  const disk = ["--size", String(6 * MIB), "--tmpfs", "/mnt"];
  const places = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", ...disk];

  const words = [...places, "--", process.execPath, "--input-type=module", "-e", execProgram];
  const { stdout } = await promisify(execFile)("bwrap", words, { cwd: import.meta.dirname, timeout: PATIENCE_MS });

  expect(JSON.parse(stdout)).toEqual({
    before: [0, "said\n"],
    full: "The disk of this machine is full: no command can be started until there is room",
    state: "ready",
    after: [0, "said\n"],
  });
});
