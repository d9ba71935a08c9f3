import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { goScript, startScript, waitingCommand } from "./remote-scripts.ts";

const id = "0123abcd";
const goText = goScript({ id, directory: "files", command: "echo 'ü'", stays: false });

let workspace: string;
beforeEach(() => {
  workspace = mkdtempSync(join(tmpdir(), "berth-start-"));
  mkdirSync(join(workspace, ".berth-run", id), { recursive: true });
});
afterEach(() => rmSync(workspace, { recursive: true }));

function start(input: Buffer): number | null {
  return spawnSync("sh", ["-c", startScript(id, goText)], { env: { ...process.env, WORKSPACE: workspace }, input })
    .status;
}

test("a script that a cut connection left incomplete is not started, and the next try sends all of it", () => {
  const go = join(workspace, ".berth-run", id, "go");
  const whole = Buffer.from(goText);

  for (const bytes of [0, 10, whole.length - 1]) expect(start(whole.subarray(0, bytes))).not.toBe(0);
  expect(existsSync(go)).toBe(false);

  expect(start(whole)).toBe(0);
  expect(readFileSync(go, "utf8")).toBe(goText);
});

test("the command sees the variables of the job unchanged, and runs by sh where SHELL names no program", () => {
  const names = ["HOME", "SHELL", "d", "w", "log", "shell", "code", "i", "n"];
  const values = Object.fromEntries(names.map((name) => [name, `/no/${name}`]));
  const command = names.map((name) => `echo "${name}=$${name}"`).join("; ");
  const run = join(workspace, ".berth-run", id);
  writeFileSync(join(run, "go"), goScript({ id, directory: "files", command, stays: false }));
  writeFileSync(join(run, "release"), "");
  mkdirSync(join(workspace, "files"));

  const env = { PATH: process.env.PATH, ...values, WORKSPACE: workspace };
  const { stdout, status } = spawnSync("sh", ["-c", waitingCommand(id, command)], { env, encoding: "utf8" });

  expect(stdout).toBe(names.map((name) => `${name}=/no/${name}\n`).join(""));
  expect(status).toBe(0);
});
