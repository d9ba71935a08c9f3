import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStartFixture, root, type StartFixture } from "./start-fixture.ts";

let fixture: StartFixture;
beforeEach(() => {
  fixture = openStartFixture();
});
afterEach(() => fixture.close());

describe("npm run env", () => {
  it("prints no shell code without a running stack", () => {
    const options = { cwd: root, env: fixture.environment(), encoding: "utf8" } as const;

    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/env.ts", "--wait", "0"], options);

    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(`No local stack is running in ${fixture.home}. Start one with: npm start\n`);
  });

  it.each([
    [["--help"], 0, /--user NAME[\s\S]*--fresh[\s\S]*--wait SECONDS/],
    [["--wait", "soon"], 1, /^--wait must be a number of seconds\n$/],
    [["--lots"], 1, /Unknown option '--lots'/],
  ] as const)("explains %j, and prints no shell code", (words, code, saying) => {
    const options = { cwd: root, env: fixture.environment(), encoding: "utf8" } as const;

    const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/env.ts", ...words], options);

    expect([status, stdout]).toEqual([code, ""]);
    expect(stderr).toMatch(saying);
  });
});
