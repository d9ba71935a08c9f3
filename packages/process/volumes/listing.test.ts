import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../fixture.ts";
import { listFiles } from "./listing.ts";
import { volumeData } from "./volume-directory.ts";
import { processVolumes } from "./volumes.ts";

const MIB = 1024 * 1024;
let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-listing-"));
});
// Removes even paths that are too long for Node.
afterEach(() => execFileSync("rm", ["-rf", home]));

test("lists like ls -R, without following links, and with printable names", async () => {
  mkdirSync(join(home, "b", "deep"), { recursive: true });
  mkdirSync(join(home, "a"));
  writeFileSync(join(home, "a", "one"), "");
  writeFileSync(join(home, "b", "two\nlines\u001b[2J"), "");
  writeFileSync(join(home, ".hidden"), "");
  writeFileSync(join(home, "z"), "");
  symlinkSync("/etc", join(home, "link"));

  expect(await listFiles(home)).toBe(".:\na\nb\nlink\nz\n\n./a:\none\n\n./b:\ndeep\ntwo?lines?[2J\n\n./b/deep:\n");
});

test("names do not reverse text or break lines", async () => {
  for (const name of ["a\u202egpj.exe", "b\u2028c", "d\u2066e", "e\u0301", "\u{1f469}\u200d\u{1f4bb}"]) {
    writeFileSync(join(home, name), "");
  }

  expect(await listFiles(home)).toBe(".:\na?gpj.exe\nb?c\nd?e\ne\u0301\n\u{1f469}\u200d\u{1f4bb}\n");
});

test("lists names outside UTF-8 and their neighbours", async () => {
  const odd = Buffer.concat([Buffer.from(join(home, "b")), Buffer.from([0xff, 0xfe])]);
  mkdirSync(odd);
  writeFileSync(Buffer.concat([odd, Buffer.from("/in\u00e9")]), "");
  writeFileSync(join(home, "\u00e9"), "");

  expect(await listFiles(home)).toBe(".:\nb??\n\u00e9\n\n./b??:\nin\u00e9\n");
});

test("gives the reason for an unreadable directory, and lists the rest", async () => {
  // Deeper than PATH_MAX, so not even root can open it.
  const name = "d".repeat(200);
  mkdirSync(join(home, "a"));
  writeFileSync(join(home, "a", "one"), "");
  const deepen = `for (let n = 0; n < 30; n++) { fs.mkdirSync("${name}"); process.chdir("${name}"); }`;
  execFileSync(process.execPath, ["-e", deepen], { cwd: join(home, "a") });
  mkdirSync(join(home, "z"));
  writeFileSync(join(home, "z", "two"), "");

  const listing = await listFiles(home);

  expect(listing).toMatch(new RegExp(`/${name}:\n\\(could not be read: ENAMETOOLONG\\)\n\n\\./z:\ntwo\n$`));
  await expect(listFiles(join(home, "nowhere"))).rejects.toThrow("ENOENT");
});

test("cuts a list at 1 MiB, and says so in the last line", async () => {
  for (let n = 0; n < 40; n++) mkdirSync(join(home, `${n}`.padStart(200, "d")));
  for (let n = 0; n < 5_600; n++) writeFileSync(join(home, `${n}`.padStart(200, "f")), "");

  const listing = await listFiles(home);

  expect(Buffer.byteLength(listing)).toBeLessThanOrEqual(MIB);
  expect(Buffer.byteLength(listing)).toBeGreaterThan(MIB - 500);
  expect(listing.endsWith("\nThe rest is left out: at most 1 MiB is listed\n")).toBe(true);
});

test("a snapshot's list is a blob while the snapshot exists", async () => {
  const volumes = processVolumes({ home });
  const { id: volume } = await volumes.createVolume({ token: "t", sizeGb: 10, zone: "z", snapshotId: undefined });
  writeFileSync(join(volumeData(home, volume), "file"), "kept");

  const { id } = await volumes.createSnapshot(volume, { name: "data", disk: "d", attempt: "a-r1-1" });
  await eventually(
    () => volumes.findSnapshot(id),
    (found) => found?.state === "completed",
  );
  const blob = join(home, "blobs", "listings", id);
  const listed = readFileSync(blob, "utf8");
  await volumes.removeSnapshot(id);

  expect(listed).toBe(".:\nfile\n");
  expect(() => readFileSync(blob)).toThrow("ENOENT");
  await volumes.shutdown();
});
