import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { missingPrograms } from "../../tests/e2e/program.ts";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";
import {
  comparable,
  openDocSession,
  pageAt,
  type ShownCommand,
  shownCommands,
  withOutputs,
} from "./doc-session-fixture.ts";

/**
 * Runs the commands that README and guides show, and compares the pasted outputs. `UPDATE_DOCS=1` before a run pastes
 * the new outputs where they differ.
 */
const guides = [
  "jobs",
  "several-machines",
  "disks-and-data",
  "ssh-and-vscode",
  "jupyter",
  "scripts-and-sdk",
  "console",
  "team",
];
const needs: Readonly<Record<string, readonly string[]>> = { console: [], jupyter: ["ssh", "jupyter"] };
const update = process.env.UPDATE_DOCS === "1";

/** Words are what holds a letter or a digit, so the lines of a table count none. */
function wordCount(text: string): number {
  return text.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
}

async function expectOutputs(path: string): Promise<void> {
  const page = pageAt(path);
  const shown = shownCommands(page.text);
  const printed = await run(path, shown);
  if (!update) {
    for (const [at, { command, output }] of shown.entries()) {
      expect(comparable(printed[at] ?? ""), command).toBe(comparable(output));
    }
    return;
  }
  const isSame = (output: string, at: number) => comparable(output) === comparable(printed[at] ?? "");
  page.write(
    withOutputs(
      page.text,
      shown.map(({ output }, at) => (isSame(output, at) ? output : (printed[at] ?? ""))),
    ),
  );
}

/** Runs the commands on a stack of their own, and returns what each printed, with the port that a stack usually has. */
async function run(path: string, shown: readonly ShownCommand[]): Promise<string[]> {
  const cli = await openCliFixture({ LOCAL_USERS: "ada,grace", SHARE_WITHOUT_MEMORY_LIMIT: "1" });
  const session = openDocSession(cli, path.endsWith("/team.md"));
  try {
    copyFileSync(join(cli.stack.home, "users/ada.env"), join(session.directory, "ada.env"));
    if (path.startsWith("docs/guide/")) await cli.run("login");
    await expect.poll(() => startNow(cli)).toBe(true);
    const printed: string[] = [];
    for (const each of shown) {
      const isStart = each.command === "npm start";
      // `npm ci` ran before these tests.
      printed.push(
        isStart ? firstLine(cli.running.output()) : each.command === "npm ci" ? "" : await session.run(each),
      );
      if (each.command.includes("berth end")) await expect.poll(() => disksAreBackedUp(cli)).toBe(true);
    }
    return printed.map((output) =>
      output.replaceAll(cli.running.url, "http://127.0.0.1:8080").replace(/(token|code)=[\w-]+/g, "$1=…"),
    );
  } finally {
    session.close();
    await cli.close();
  }
}

/** Reports whether the stack has listed its machines. */
async function startNow({ berth }: CliFixture): Promise<boolean> {
  const job = { image: "ubuntu:24.04", instance_type: "p5.48xlarge", gpu_count: 8 } as const;
  return (await berth.jobs.estimate(job)).estimated_start_time !== null;
}

/** Reports whether the disks of ended jobs are free, and the files of their backups listed. */
async function disksAreBackedUp({ berth }: CliFixture): Promise<boolean> {
  for await (const { disk_name, in_use } of berth.disks.list()) {
    if (in_use || !(await berth.disks.content(disk_name)).content) return false;
  }
  return true;
}

function firstLine(output: string): string {
  return `${/^Berth listens on \S+/m.exec(output)?.[0]}\n`;
}

test("the README has 600 to 800 words", () => {
  const count = wordCount(pageAt("README.md").text);

  expect(count).toBeGreaterThanOrEqual(600);
  expect(count).toBeLessThanOrEqual(800);
});

test("the README shows what the commands of its first session print", async ({ skip }) => {
  skip(missingPrograms("ssh").length > 0, "not on this machine: ssh");
  await expectOutputs("README.md");
});

describe.each(guides)("the guide %s", (name) => {
  const path = `docs/guide/${name}.md`;

  test("has at most 400 words", () => {
    expect(wordCount(pageAt(path).text)).toBeLessThanOrEqual(400);
  });

  test("shows what its commands print", async ({ skip }) => {
    const missing = missingPrograms(...(needs[name] ?? ["ssh"]));
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);
    await expectOutputs(path);
  });
});
