import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { canListProcesses, eventually, processesOfHome } from "./processes.ts";

it("a stack ends with the test process that started it, even if that is killed", async ({ skip }) => {
  skip(!canListProcesses, "there is no /proc here");
  const test = spawn(process.execPath, [join(import.meta.dirname, "killed-test-fixture.ts")]);
  onTestFinished(() => void test.kill("SIGKILL"));
  const [home] = (await once(test.stdout, "data")).map(String);
  if (home === undefined) throw new Error("The stack did not start");
  onTestFinished(() => rmSync(home, { recursive: true }));
  const list = () => processesOfHome(home, new Set());
  const before = list();

  test.kill("SIGKILL");

  expect(before.map(({ command }) => command).join("\n")).toContain("start.mjs");
  await eventually(list, (processes) => processes.length === 0);
});
