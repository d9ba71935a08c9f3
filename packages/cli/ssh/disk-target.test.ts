import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findOnPath } from "../../process/sandbox/local-path.ts";
import { type CliFixture, openCliFixture } from "../cli-fixture.ts";
import { collect } from "../terminal/collect.ts";

const hasRsync = findOnPath("rsync", process.env.PATH ?? "") !== undefined;
let cli: CliFixture;
let place: string;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=1" });
  place = mkdtempSync(join(tmpdir(), "berth-disk-files-"));
  await cli.run("login");
  await cli.run("disks", "create", "data");
});
afterAll(async () => {
  await cli.close();
  rmSync(place, { recursive: true });
});

async function jobsNamed(name: string) {
  return collect(cli.berth.jobs.list({ name }));
}

/** Waits until no environment of a copy is left, which its own command decides. */
async function copiesEnd(name: string): Promise<readonly string[]> {
  for (const { job_id } of await jobsNamed(name)) await cli.berth.jobs.wait(job_id, { until: "ended" });
  return (await jobsNamed(name)).map(({ status }) => status);
}

test("files are copied to a free disk and back, through an environment that ends by itself", async () => {
  writeFileSync(join(place, "a file: of mine.txt"), "content\n");
  mkdirSync(join(place, "tree", "sub"), { recursive: true });
  writeFileSync(join(place, "tree", "sub", "it's"), "deep");

  const sent = await cli.run("cp", join(place, "a file: of mine.txt"), "disk:data/kept.txt");
  const tree = await cli.run("cp", "-r", join(place, "tree"), "disk:data");
  const back = await cli.run("cp", "disk:data/kept.txt", join(place, "back.txt"));
  const deep = await cli.run("cp", "disk:data/tree/sub/it's", join(place, "deep.txt"));

  expect([sent, tree, back, deep].map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  expect(sent.stderr).toContain("Starting a c7i.8xlarge without GPUs for disk data: disk-copy-data. It ends when");
  expect(sent.stdout).toBe("");
  expect(readFileSync(join(place, "back.txt"), "utf8")).toBe("content\n");
  expect(readFileSync(join(place, "deep.txt"), "utf8")).toBe("deep");
  expect(new Set(await copiesEnd("disk-copy-data"))).toEqual(new Set(["completed"]));
});

test("a disk in use is reached through the job that has it", async () => {
  await cli.run("up", "-t", "cpu", "--disk", "data", "holder");
  writeFileSync(join(place, "second.txt"), "second");

  const sent = await cli.run("cp", join(place, "second.txt"), "disk:data/dir-of-none/../x");
  const through = await cli.run("cp", join(place, "second.txt"), "disk:data/second.txt");
  const seen = await cli.run("ssh", "holder", "--", 'cat "$WORKSPACE/second.txt"');

  expect(sent).toMatchObject({ code: 2, stdout: "" });
  expect(through).toMatchObject({ code: 0 });
  expect(through.stderr).toMatch(/Disk data is in use: going through holder \(/);
  expect(seen.stdout).toBe("second");
  expect((await cli.berth.disks.get("data")).in_use).toBe(true);
  await cli.run("end", "holder");
});

test("rsync reaches a disk in the same way", async ({ skip }) => {
  if (!hasRsync) skip("there is no rsync on the PATH");
  writeFileSync(join(place, "third.txt"), "third");
  expect(await cli.run("rsync", "-a", join(place, "third.txt"), "disk:data/sub/")).toMatchObject({ code: 0 });
  expect(await cli.run("rsync", "-a", "disk:data/sub/", join(place, "sub"))).toMatchObject({ code: 0 });
  expect(readFileSync(join(place, "sub", "third.txt"), "utf8")).toBe("third");
  expect(await cli.run("rsync", "-a", "disk:data/x", "disk:other/y")).toMatchObject({ code: 2 });
});

test("a copy that is killed leaves an environment that ends by itself", async () => {
  await cli.run("disks", "create", "killed");
  const file = join(place, "large");
  // Sparse here, and large enough to be copied for a while.
  writeFileSync(file, "");
  truncateSync(file, 2_000_000_000);
  const copy = cli.start({}, "cp", file, "disk:killed/");
  await copy.says("Connected to disk killed");
  copy.child.kill("SIGKILL");
  await copy.ended;

  expect(await copiesEnd("disk-copy-killed")).toEqual(["completed"]);
});

test("Ctrl-C while the environment waits for a machine cancels it", async () => {
  await cli.run("disks", "create", "early");
  await cli.run("up", "-t", "cpu", "blocker");
  const copy = cli.start({}, "cp", "/etc/hostname", "disk:early/");
  await copy.says("queued");
  copy.child.kill("SIGINT");

  expect(await copy.ended).toMatchObject({ code: 130, stdout: "" });
  expect(await copiesEnd("disk-copy-early")).toEqual(["cancelled"]);
  await cli.run("end", "blocker");
});

test("an unknown and a deleted disk are refused, and no disk is created for a copy", async () => {
  expect(await cli.run("cp", "/etc/hostname", "disk:nothing/x")).toMatchObject({ code: 3, stdout: "" });
  expect(await cli.run("cp", "/etc/hostname", "disk:")).toMatchObject({ code: 2, stdout: "" });
  await cli.run("disks", "create", "gone");
  await cli.run("disks", "rm", "gone", "--yes");
  const refused = await cli.run("cp", "/etc/hostname", "disk:gone/x");
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toContain("berth disks undelete gone");
  expect((await collect(cli.berth.disks.list())).map(({ disk_name }) => disk_name)).not.toContain("nothing");
});
