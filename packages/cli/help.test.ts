import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cleanEnvironment, startCli } from "./cli-fixture.ts";
import { helpTopics, plainTopic } from "./definitions/help-topics.ts";
import { exitCodes } from "./failure.ts";

let state: string;
beforeAll(() => {
  state = mkdtempSync(join(tmpdir(), "berth-help-"));
});
afterAll(() => rmSync(state, { recursive: true }));

function run(...words: string[]) {
  return startCli({ ...cleanEnvironment(), XDG_CONFIG_HOME: state, BERTH_HOME: state }, {}, words).ended;
}

const page = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");

test.each([
  [["help"], ["--help"]],
  [
    ["help", "up"],
    ["up", "--help"],
  ],
  [
    ["help", "disks", "rm"],
    ["disks", "rm", "--help"],
  ],
  [
    ["help", "rsync"],
    ["rsync", "--help"],
  ],
])("berth %j prints what %j prints, without a login", async (words, same) => {
  const [found, expected] = await Promise.all([run(...words), run(...same)]);

  expect(found).toEqual(expected);
  expect(found).toMatchObject({ code: 0, stdout: expect.stringContaining("USAGE"), stderr: "" });
});

test("berth help lists the topics, and a topic reads like its section of docs/cli.md", async () => {
  const all = await run("help");
  for (const [name, text] of Object.entries(helpTopics)) {
    const { code, stdout, stderr } = await run("help", name);

    expect(all.stdout).toContain(name);
    expect([code, stdout, stderr]).toEqual([0, plainTopic(text, 100), ""]);
    expect(page).toContain(text);
    expect(stdout).not.toMatch(/`|^\|/m);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  }
});

test("the topic exit-codes names every code that a command ends with", async () => {
  const { stdout } = await run("help", "exit-codes");

  for (const code of Object.values(exitCodes)) expect(stdout).toMatch(new RegExp(`(^|\\s)${code}\\s`, "m"));
});

test.each([["nosuch"], ["exit-codes", "more"], ["__proto__"], ["constructor"], ["\u001B[31mred"]])(
  "berth help %j is wrong usage, and the hint names the topics",
  async (...words) => {
    const { code, stdout, stderr } = await run("help", ...words);

    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(
      /^error: There is no command or topic '.*'\nhint: .*exit-codes, environment, files, json\n$/,
    );
    expect(stderr).not.toContain("\u001B");
  },
);

test("a command that help does not know under another one is wrong usage", async () => {
  expect(await run("help", "jupyter", "nosuch")).toMatchObject({ code: 2, stdout: "" });
});

test.each([
  ["ssh", "lab"],
  ["completion", "bash"],
  ["help", "up"],
])("berth %s %s --json is wrong usage, and the error says what else to use", async (...words) => {
  const { code, stdout, stderr } = await run(...words, "--json");

  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(/^error: There is no --json here: [^\n]+\nhint: [^\n]+\n$/);
});

test.each([["--since", "5m"], ["--since=5m"], ["--since-time=2026-01-01"]])(
  "berth logs %s is wrong usage, and the hint names what prints the end of a log",
  async (...words) => {
    const { code, stdout, stderr } = await run("logs", "lab", ...words);

    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^error: There is no --since: [^\n]+\nhint: [^\n]+--tail 50 NAME[^\n]+logs -f NAME\n$/);
  },
);

test("help completes commands and topics", async () => {
  expect((await run("__complete", "help", "e")).stdout.split("\n").toSorted().join(" ").trim()).toBe(
    "end env environment exit-codes extend",
  );
});
