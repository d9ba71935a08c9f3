import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const formatFile = (name: string) => fileURLToPath(new URL(`../.ci/${name}`, import.meta.url));

const reporter = new URL("../tests/fixtures/skip-reporter.ts", import.meta.url);
const vitest = new URL("../node_modules/vitest/vitest.mjs", import.meta.url);
const failingHooks = `
  const { afterAll, describe, it } = globalThis;
  const fail = (text) => () => { throw new Error(text); };
  afterAll(fail("of the file"));
  describe("a suite", () => {
    afterAll(fail("of the suite"));
    it("passes", async () => {
      setTimeout(() => { throw new Error("late", { cause: new Error("the reason") }); });
      await new Promise((resolve) => setTimeout(resolve));
    });
  });
`;

let place: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "berth-check-"));
});

afterEach(() => rmSync(place, { recursive: true }));

describe("a step of the check", () => {
  const check = (...step: string[]) => {
    const line = `passed=0 failed=0 reports=$1; . "$2"; step "\${@:3}"; finish`;
    return spawnSync("bash", ["-c", line, "check", place, formatFile("steps.sh"), ...step], { encoding: "utf8" });
  };

  it("is too slow to judge, and has not passed, if its time limit ended it", () => {
    const { stdout, status } = check("waits", "1", "sleep", "600");

    expect(stdout).toMatch(/^=== waits: too slow to judge, ended at its limit of 1 s, \d+ s, 0 s of CPU$/m);
    expect(stdout).toContain("\nNot passed:\nstep: waits: too slow to judge");
    expect([stdout.includes("FAILED"), status]).toEqual([false, 1]);
  });

  it.each(["exit 1", "exit 124", "kill -9 $$"])("has failed if it ended by itself with `%s`", (line) => {
    const { stdout, status } = check("ends", "600", "sh", "-c", line);

    expect(stdout).toMatch(/^=== ends: FAILED, \d+ s, 0 s of CPU$/m);
    expect([stdout.includes("0 passed, 1 failed"), status]).toEqual([true, 1]);
  });

  it("has passed if it succeeded", () => {
    const { stdout, status } = check("ends", "600", "true");

    expect(stdout).toMatch(/^=== ends: ok, \d+ s, 0 s of CPU$/m);
    expect([stdout.includes("1 passed, 0 failed"), status]).toEqual([true, 0]);
  });

  it("says how much processor time it took", () => {
    const { stdout } = check(
      "computes",
      "600",
      "node",
      "-e",
      "for (let used = 0; used < 2_100_000; ) { const { user, system } = process.cpuUsage(); used = user + system; }",
    );

    expect(stdout).toMatch(/^=== computes: ok, \d+ s, [23] s of CPU$/m);
  });
});

describe("the count of tests", () => {
  const ofRoot =
    "the limits of environments are shown, and stop endless forks of one environment while others are served";
  const ofPlain = "a user on another machine, by the guide for teams through the tunnel opens Jupyter";
  const ofAll = "the table on DynamoDB Local needs Java";

  it.each([
    { title: "counts passed and failed tests", userId: 1000, tests: { a: "passed", b: "failed" }, counts: "1 1" },
    { title: "counts a skipped test as failed", userId: 0, tests: { a: "passed", b: "skipped" }, counts: "1 1" },
    {
      title: "lets every user skip tests of optional programs",
      userId: 1000,
      tests: { [ofAll]: "skipped" },
      counts: "0 0",
    },
    { title: "lets root skip tests that root cannot run", userId: 0, tests: { [ofRoot]: "skipped" }, counts: "0 0" },
    {
      title: "lets a plain user skip tests that need files of root",
      userId: 1000,
      tests: { [ofPlain]: "skipped" },
      counts: "0 0",
    },
    {
      title: "does not let root skip tests of a plain user",
      userId: 0,
      tests: { [ofPlain]: "skipped" },
      counts: "0 1",
    },
    {
      title: "does not let a plain user skip tests of root",
      userId: 1000,
      tests: { [ofRoot]: "skipped" },
      counts: "0 1",
    },
  ])("$title", ({ userId, tests, counts }) => {
    const assertionResults = Object.entries(tests).map(([fullName, status]) => ({ fullName, status }));
    const report = join(place, "report.json");
    writeFileSync(report, JSON.stringify({ testResults: [{ name: "file", status: "passed", assertionResults }] }));

    expect(count(report, userId).stdout).toBe(`${counts}\n`);
  });

  it("names a failed test with the start of its message", () => {
    const messages = [`\u001b[31mError: ${"x".repeat(5000)}\u001b[39m\n    at here`, ...Array(100).fill("more")];
    const failed = { fullName: "a test", status: "failed", failureMessages: messages };
    const report = join(place, "report.json");
    writeFileSync(report, JSON.stringify({ testResults: [{ name: "file", assertionResults: [failed] }] }));

    const lines = count(report, 0).stderr.trimEnd().split("\n");

    expect(lines.slice(0, 3)).toEqual(["Failed: a test", `  Error: ${"x".repeat(393)}`, "      at here"]);
    expect(lines).toHaveLength(13);
  });

  it("prints the errors outside of tests, such as those of hooks", () => {
    const report = join(place, "report.json");
    writeFileSync(report, JSON.stringify({ testResults: [] }));
    const config = `export default { test: { globals: true, reporters: [${JSON.stringify(fileURLToPath(reporter))}] } };`;
    writeFileSync(join(place, "vitest.config.mjs"), config);
    writeFileSync(join(place, "hooks.test.mjs"), failingHooks);
    spawnSync(process.execPath, [fileURLToPath(vitest), "run", "--root", place], {
      env: { ...process.env, ERRORS_OUTSIDE_TESTS: `${report}.errors` },
    });

    const lines = count(report, 0).stderr.split("\n");

    expect(lines.filter((line) => !line.startsWith("    at "))).toEqual([
      "Outside of tests:",
      "hooks.test.mjs: Error: of the file",
      "hooks.test.mjs: Error: of the suite",
      expect.stringMatching(/hooks\.test\.mjs: Error: late$/),
      "  caused by the reason",
      "",
    ]);
  });

  it("reports a missing report", () => {
    const { stderr, status } = count(join(place, "none.json"), 0);

    expect([stderr, status]).toEqual(["No report: the tests were stopped before they completed\n", 1]);
  });

  function count(report: string, userId: number) {
    return spawnSync(process.execPath, [formatFile("count-tests.mjs"), report, String(userId)], { encoding: "utf8" });
  }
});
