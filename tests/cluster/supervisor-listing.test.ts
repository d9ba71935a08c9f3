import { execFile } from "node:child_process";
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openSupervisor, type SupervisorFixture } from "./container/supervisor-fixture.ts";

const mebibyte = 1024 * 1024;
const cut = "The rest is left out\n";
let fixture: SupervisorFixture;
let disk: string;

beforeEach(async () => {
  fixture = await openSupervisor();
  disk = fixture.file("disk");
  mkdirSync(disk);
});

afterEach(() => fixture.close());

async function listed(): Promise<string> {
  const { stdout } = await promisify(execFile)(fixture.file("files"), [disk], { maxBuffer: 2 * mebibyte });
  return stdout;
}

async function lastListed(directory = disk): Promise<string | undefined> {
  const run = await fixture.run(["true"], { flags: ["--list", directory], isShort: true });
  expect(await run.exit).toBe(0);
  const { files } = run.lastWords() as { files?: string };
  return files && gunzipSync(Buffer.from(files, "base64")).toString();
}

it("the listing is like ls -R, without following links, and with printable names", async () => {
  mkdirSync(join(disk, "b", "deep"), { recursive: true });
  mkdirSync(join(disk, "a"));
  writeFileSync(join(disk, "a", "one"), "");
  writeFileSync(join(disk, "b", "two\nlines\u001b[2J"), "");
  writeFileSync(join(disk, ".hidden"), "");
  symlinkSync("/etc", join(disk, "link"));
  const text = ".:\na\nb\nlink\n\n./a:\none\n\n./b:\ndeep\ntwo?lines?[2J\n\n./b/deep:\n";

  expect(await listed()).toBe(text);
  expect(await lastListed()).toBe(text);
});

it("a long listing is cut, and its last line says so", async () => {
  const name = (n: number) => `${Math.sin(n)}`.padStart(250, "f");
  for (let n = 0; n < 4_500; n++) writeFileSync(join(disk, name(n)), "");

  const listing = await listed();
  const beginning = (await lastListed()) ?? "";

  expect(Buffer.byteLength(listing)).toBeLessThanOrEqual(mebibyte);
  expect(listing.endsWith(`\n${cut}`)).toBe(true);
  expect(beginning.endsWith(`\n${cut}`)).toBe(true);
  const names = beginning.slice(0, -cut.length).split("\n").slice(1, -1);
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !existsSync(join(disk, name)))).toEqual([]);
});

it("the output contains the end of the command if no listing is possible", async () => {
  rmSync(fixture.file("files"));

  expect(await lastListed("/no/such/disk")).toBeUndefined();
});
