import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const program = fileURLToPath(new URL("plan.ts", import.meta.url));

test.each([
  [["--stage", "Prod"], "Stage Prod cannot be deployed:\n  the stage must be 1 to 20 of a-z, 0-9 and -"],
  [["--stage", "../dev"], "Stage ../dev cannot be deployed:\n  the stage must be 1 to 20 of a-z, 0-9 and -"],
  [["--stage"], "Option '--stage <value>' argument missing"],
  [["dev"], "Unexpected argument 'dev'"],
])("the plan refuses %j with only a message", (words, says) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...words], { encoding: "utf8" });

  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr.startsWith(says)).toBe(true);
  expect(stderr).not.toMatch(/^\s+at |node:internal|Command failed/m);
});
