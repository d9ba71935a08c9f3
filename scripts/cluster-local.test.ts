import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";

/** Runs the command on a machine without any program, for a user without a local cluster. */
function clusterLocal(...args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), "berth-no-programs-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const script = fileURLToPath(new URL("cluster-local.ts", import.meta.url));
  return spawnSync(process.execPath, [script, ...args], { encoding: "utf8", env: { PATH: folder, HOME: folder } });
}

it("a local cluster does not start on a machine that lacks something, and the one sentence says what", () => {
  const { stdout, stderr, status } = clusterLocal("up");

  expect([stdout, status]).toEqual(["", 1]);
  expect(stderr).toMatch(/^This machine cannot run a local cluster: [^\n]+\.\n$/);
});

it("the status of no local cluster fails, and says how to start one", () => {
  const { stdout, stderr, status } = clusterLocal("status");

  expect([stdout, stderr, status]).toEqual([
    "",
    "No local cluster runs. Start one with: npm run cluster:local -- up\n",
    1,
  ]);
});

it("the end of no local cluster succeeds", () => {
  const { stdout, stderr, status } = clusterLocal("down");

  expect([stdout, stderr, status]).toEqual(["No local cluster runs.\n", "", 0]);
});

it.each(["start", "toString", ""])("a local cluster refuses the command %j with its help text", (name) => {
  const { stdout, stderr, status } = clusterLocal(name);

  expect([stdout, status]).toEqual(["", 1]);
  expect(stderr).toContain("npm run cluster:local -- up ");
});

it("a local cluster prints its help text when asked", () => {
  const { stdout, stderr, status } = clusterLocal("--help");

  expect([stderr, status]).toEqual(["", 0]);
  expect(stdout).toContain("npm run cluster:local -- up ");
});
