import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";

/** Runs the script on a machine without any program. */
function runWithoutPrograms(...args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), "berth-no-programs-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const script = fileURLToPath(new URL("test-nodes.ts", import.meta.url));
  return spawnSync(process.execPath, [script, ...args], { encoding: "utf8", env: { PATH: folder, HOME: folder } });
}

const sentence = /^skipped: the tests on real nodes: [^\n]+\n$/;

it("the tests on real nodes are skipped with a reason, and pass, if the machine lacks something", () => {
  const { stdout, status } = runWithoutPrograms("--reporter=json", "--outputFile.json=/nowhere/report.json");

  expect([stdout, status]).toEqual([expect.stringMatching(sentence), 0]);
});

it("the question about the requirements of real nodes fails with the reason if the machine lacks something", () => {
  const { stdout, status } = runWithoutPrograms("--requirements");

  expect([stdout, status]).toEqual([expect.stringMatching(sentence), 1]);
});
