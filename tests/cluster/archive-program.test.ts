import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { s3Blobs } from "#aws/s3/s3-blobs.ts";
import { zipDirectory } from "#process/volumes/zip.ts";
import { toolsPath } from "../../scripts/images/tools-programs.ts";
import { fakeKey } from "../aws/fake-service.ts";
import { type FakeS3, refusal, startS3 } from "../aws/s3.ts";

const hasUnpacker = spawnSync("unzip", ["-v"]).status === 0;
const programs = await toolsPath(process.env);
let home: string;
let source: string;
let s3: FakeS3;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "berth-archive-"));
  source = join(home, "source");
  mkdirSync(source);
  s3 = await startS3("bucket");
});

afterEach(async () => {
  await s3.stop();
  await rm(home, { recursive: true });
});

/** Uploads a folder to the S3 of the test by the program. Returns exit code, result and all output. */
async function archived({ from = source, to = "archives/a" } = {}) {
  const place = { name: "s3", region: "us-east-2", url: `${s3.endpoint}/bucket`, credentials: () => fakeKey };
  const upload = await s3Blobs(place).urlToPut(to);
  return runArchive({ ARCHIVE_FROM: from, ARCHIVE_TO: JSON.stringify(upload) });
}

async function runArchive(env: Record<string, string>) {
  const file = join(home, "last-words");
  writeFileSync(file, "");
  const child = spawn(join(programs, "archive"), [file], { env });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data) => {
      output += data;
    });
  }
  const [code] = await once(child, "close");
  const text = readFileSync(file, "utf8");
  return { code, words: JSON.parse(text || "{}"), said: `${output}${text}` };
}

/** Returns the paths in an archive, with the text of each file. */
function unpacked(zip: Uint8Array, name: string): Map<string, string> {
  const file = join(home, `${name}.zip`);
  writeFileSync(file, zip);
  const env = { ...process.env, LC_ALL: "C.UTF-8" };
  const paths = execFileSync("unzip", ["-Z1", file], { env, encoding: "utf8" }).split("\n").filter(Boolean);
  const text = (path: string) =>
    path.endsWith("/") ? "" : execFileSync("unzip", ["-p", file, path.replaceAll(/[[\]*?\\]/g, "\\$&")], { env });
  return new Map(paths.sort().map((path) => [path, String(text(path))]));
}

it("the archive program sends the same zip as a local stack, and reports its size", async ({ skip }) => {
  if (!hasUnpacker) skip("this machine has no unzip");
  mkdirSync(join(source, "c:folder", "deep"), { recursive: true });
  for (const name of ["c:drive", "back\\slash", "back%5Cslash", "größe 文件"]) writeFileSync(join(source, name), name);
  for (const bytes of ["gr\xf6\xdfe", "gr%F6%DFe"]) writeFileSync(Buffer.from(join(source, bytes), "latin1"), bytes);
  writeFileSync(join(source, "c:folder", "deep", "large"), "text\n".repeat(100_000));
  utimesSync(join(source, "c:folder", "deep", "large"), 0, 0);
  symlinkSync("/etc/passwd", join(source, "outside"));
  symlinkSync(".", join(source, "loop"));

  const { code, words } = await archived();
  await zipDirectory(source, join(home, "local"));

  const sent = s3.objects.get("archives/a") ?? new Uint8Array();
  expect([code, words]).toEqual([0, { bytes: sent.byteLength, skipped: 0 }]);
  expect(unpacked(sent, "sent")).toEqual(unpacked(readFileSync(join(home, "local")), "made"));
  expect(unpacked(sent, "again").get("outside")).toBe("/etc/passwd");
});

it("the archive program is not copied into runs", () => {
  const directory = join(home, "tools");
  mkdirSync(directory);

  execFileSync(join(programs, "supervisor"), ["install", directory]);

  expect(readdirSync(directory)).toContain("files");
  expect(readdirSync(directory)).not.toContain("archive");
});

it("the archive program leaves out special and sparse files, and names them in the comment", async () => {
  writeFileSync(join(source, "here"), "here");
  execFileSync("mkfifo", [join(source, "pipe")]);
  writeFileSync(join(source, "terabytes\n"), "");
  truncateSync(join(source, "terabytes\n"), 2_000_000_000_000);

  const { words } = await archived();

  const sent = Buffer.from(s3.objects.get("archives/a") ?? []).toString();
  expect(words.skipped).toBe(2);
  expect(sent).toContain("2 are left out:\npipe (a pipe)\nterabytes? (takes far less on the disk)");
});

it("the archive program sends the zip up to three times if S3 fails or hangs up", async () => {
  writeFileSync(join(source, "here"), "here");
  s3.trouble([{ status: 503, body: "" }, "hang up"]);
  const third = await archived();
  s3.trouble(["hang up", "hang up", { status: 500, body: "" }]);
  const failed = await archived({ to: "archives/b" });

  expect([third.code, s3.calls.length]).toEqual([0, 6]);
  expect([failed.code, failed.words.problem]).toEqual([1, "the upload was refused with 500"]);
  expect([...s3.objects.keys()]).toEqual(["archives/a"]);
});

it("the archive program reports why it failed, but never the address of the zip", async () => {
  s3.trouble([refusal("AccessDenied"), "hang up", "hang up", "hang up"]);
  const refused = await archived();
  const cut = await archived();
  const nothing = await archived({ from: join(home, "nowhere") });
  const odd = await runArchive({
    ARCHIVE_FROM: source,
    ARCHIVE_TO: '{"url":"http://127.0.0.1:1/secret%","headers":{}}',
  });
  const none = await runArchive({ ARCHIVE_FROM: source, ARCHIVE_TO: "secret" });

  const all = [refused, cut, nothing, odd, none];
  expect(all.map(({ code }) => code)).toEqual([1, 1, 1, 1, 1]);
  expect(s3.calls.length).toBe(4);
  expect(refused.words.problem).toBe("the upload was refused with 403");
  expect(nothing.words.problem).toMatch(/no such file/);
  expect(none.words.problem).toBe("ARCHIVE_TO holds no address");
  for (const { said } of all) expect(said).not.toMatch(/X-Amz|Signature|archives\/a|secret/);
});
