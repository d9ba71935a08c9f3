import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { changelogFor, compareVersions } from "./release-files.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const clone = mkdtempSync(join(tmpdir(), "berth-release-"));
const identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"];
const left = ["node_modules", ".git", "dist", ".berth", ".sst"];

/** Creates a repository from a copy of this checkout. Its `npm run check` passes while `check-result` contains 0. */
beforeAll(() => {
  cpSync(root, clone, {
    recursive: true,
    filter: (path) => !left.includes(basename(path)),
  });
  for (const place of ["", "tools/openapi"]) {
    symlinkSync(join(root, place, "node_modules"), join(clone, place, "node_modules"));
  }
  const file = join(clone, "package.json");
  const description = JSON.parse(readFileSync(file, "utf8"));
  description.scripts.check = 'exit "$(cat check-result)"';
  writeFileSync(file, `${JSON.stringify(description, null, 2)}\n`);
  writeFileSync(join(clone, "check-result"), "0\n");
  git("init", "--quiet", "--initial-branch=main");
  commitAll();
});
afterAll(() => rmSync(clone, { recursive: true }));

function git(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync("git", [...identity, ...words], { cwd: clone, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout.trim();
}

function commitAll(): void {
  git("add", "--all");
  git("commit", "--quiet", "--message", "A state");
}

function release(...words: string[]) {
  const author = { GIT_AUTHOR_NAME: "Tester", GIT_AUTHOR_EMAIL: "tester@example.com" };
  const committer = { GIT_COMMITTER_NAME: "Tester", GIT_COMMITTER_EMAIL: "tester@example.com" };
  const env = { ...process.env, ...author, ...committer };
  return spawnSync(process.execPath, ["scripts/release.ts", ...words], { cwd: clone, encoding: "utf8", env });
}

test("a release with a wrong version, a dirty checkout or a failed check changes nothing", () => {
  const commit = git("rev-parse", "HEAD");

  expect(release()).toMatchObject({ status: 1, stderr: expect.stringContaining("is not a version") });
  expect(release("v1.2")).toMatchObject({ status: 1, stderr: expect.stringContaining("'v1.2' is not a version") });
  expect(release("0.9.0")).toMatchObject({ status: 1, stderr: expect.stringContaining("0.9.0 is not newer than") });
  writeFileSync(join(clone, "check-result"), "1\n");
  expect(release("1.2.0")).toMatchObject({ status: 1, stderr: expect.stringContaining("uncommitted changes") });
  commitAll();
  expect(release("1.2.0")).toMatchObject({ status: 1, stderr: expect.stringContaining("npm run check fails") });

  expect(git("tag", "--list")).toBe("");
  expect(git("status", "--porcelain")).toBe("");
  git("reset", "--quiet", "--hard", commit);
});

test("a release writes the version, packs both packages, commits and tags, and the next one must be newer", () => {
  const { status, stdout, stderr } = release("1.2.0-rc.1");

  expect([status, stderr]).toEqual([0, ""]);
  expect(stdout).toContain("Tagged v1.2.0-rc.1. Nothing is published.");
  expect(git("log", "-1", "--format=%s")).toBe("Release 1.2.0-rc.1");
  expect(git("describe")).toBe("v1.2.0-rc.1");
  expect(git("status", "--porcelain")).toBe("");
  const changed = ["package.json", "packages/sdk/package.json", "packages/cli/package.json", "package-lock.json"];
  for (const file of [...changed, "packages/http/version.ts", "packages/cli/version.ts", "openapi.json"]) {
    expect(readFileSync(join(clone, file), "utf8"), file).toContain('"1.2.0-rc.1"');
  }
  expect(readFileSync(join(clone, "CHANGELOG.md"), "utf8")).toMatch(/^## Unreleased\n\n## 1\.2\.0-rc\.1 - \d{4}-/m);
  const sums = readFileSync(join(clone, "dist/release/SHA256SUMS"), "utf8").trim().split("\n");
  expect(sums.map((line) => line.split("  ")[1])).toEqual(["berth-sdk-1.2.0-rc.1.tgz", "berth-cli-1.2.0-rc.1.tgz"]);
  for (const [sum, name = ""] of sums.map((line) => line.split("  "))) {
    const bytes = readFileSync(join(clone, "dist/release", name));
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(sum);
  }

  expect(release("1.2.0-rc.1")).toMatchObject({ status: 1, stderr: expect.stringContaining("not newer than") });
  expect(release("1.1.9")).toMatchObject({ status: 1, stderr: expect.stringContaining("not newer than 1.2.0-rc.1") });
});

test.each([
  ["1.0.0", "1.0.0", 0],
  ["1.0.0-rc.1", "1.0.0", -1],
  ["1.0.0-rc.2", "1.0.0-rc.10", -1],
  ["1.0.0-alpha", "1.0.0-alpha.1", -1],
  ["1.0.0-1", "1.0.0-alpha", -1],
  ["2.0.0", "1.10.0", 1],
  ["1.10.0", "1.9.0", 1],
])("the versions %s and %s compare as %i", (left, right, sign) => {
  expect([Math.sign(compareVersions(left, right)), Math.sign(compareVersions(right, left))]).toEqual([sign, 0 - sign]);
});

test("the changelog of a release keeps older releases, and a release without changes is refused", () => {
  const text = "# Changelog\n\n## Unreleased\n\n### Added\n\n* A thing.\n\n## 1.0.0 - 2026-01-01\n\n* The first.\n";

  expect(changelogFor(text, "1.1.0", "2026-02-02")).toBe(
    "# Changelog\n\n## Unreleased\n\n## 1.1.0 - 2026-02-02\n\n### Added\n\n* A thing.\n\n## 1.0.0 - 2026-01-01\n\n* The first.\n",
  );
  expect(() => changelogFor("# Changelog\n\n## Unreleased\n\n## 1.0.0\n", "1.1.0", "2026-02-02")).toThrow("no change");
});
