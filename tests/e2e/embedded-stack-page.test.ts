import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { readBlocks } from "./doc-blocks.ts";
import { jobClient } from "./job-client.ts";
import { missingPrograms, runProgram } from "./program.ts";
import { environmentFor, openStackFixture, root, type StackProcess } from "./stack-fixture.ts";
import { withoutProgram } from "./without-program.ts";

// Many paths have a space.
const fixture = openStackFixture("berth readme's-");
const page = "docs/embedded-stack.md";
const missing = missingPrograms("curl", "jq", "npm", "ssh-keygen");
let stack: StackProcess;

beforeAll(async () => {
  stack = await fixture.start({ LOCAL_USERS: "ada", SHARE_WITHOUT_MEMORY_LIMIT: "1" });
});

afterAll(() => fixture.close());

/** Runs a block as if it was pasted into a shell in this checkout. */
const paste = (block: string, home = fixture.home, settings: Readonly<Record<string, string>> = {}) =>
  runProgram("/bin/sh", ["-c", block], { cwd: root, env: environmentFor(home, settings) });

describe("docs/embedded-stack.md", () => {
  it("has a first session that works pasted as a block, with a wait, log, SSH and two uses of its disk", async ({
    skip,
  }) => {
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);
    await expectFirstSession(fixture.home);
  });

  it("has a first session that works on a machine without bubblewrap", async ({ skip }) => {
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);
    const bare = openStackFixture("berth none's-");
    try {
      const { url } = await bare.start({}, { under: canSandbox() ? withoutProgram("bwrap") : [] });
      expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ isolation: "none" });

      await expectFirstSession(bare.home);
    } finally {
      await bare.close();
    }
  });

  it("stops waiting for a job that ended, and shows how it ended", async ({ skip }) => {
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);
    const [session = ""] = readBlocks(page, "## A first session", "sh");
    const defined = session.slice(0, session.indexOf("\necho"));
    const cancelled = 'JOB=$(submit); call -X POST "$API_URL/v1/jobs/$JOB/cancel" >/dev/null';

    const over = await paste(`${defined.replace("my-data", "other-data")}\n${cancelled}\nshows "$JOB" '"active"'`);
    const never = await paste(`${defined}\nshows "" '"active"'`);

    expect(over).toMatchObject({ code: 1, stdout: "" });
    expect(over.stderr).toMatch(
      /^It does not show "active": \{"status":"cancelled","status_reason":"Cancelled by its owner/,
    );
    expect(never).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("It does not show") });
  });

  it("switches a shell to the second user, who sees no job of the first", async ({ skip }) => {
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);
    const [session = "", , second = ""] = readBlocks(page, "## A first session", "sh");
    const call = session.split("\n").find((line) => line.startsWith("call()"));

    const { code, stdout, stderr } = await paste(`${call}\n${second}`);

    expect([code, stdout, stderr]).toEqual([0, "0\n", ""]);
  });

  it("admits another user with their file", async ({ skip }) => {
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);
    const [logIn = ""] = readBlocks("docs/log-in.md", "## With your credentials", "sh");
    const file = `${fixture.home}/users/ada.env`.replace("'", "'\\''");

    const { stdout } = await paste(`. '${file}'\n${logIn}`);

    const me = await fetch(`${stack.url}/v1/keys`, { headers: { "x-api-key": stdout.trim() } });
    expect(me.status).toBe(200);
  });
});

describe("docs/log-in.md", () => {
  it("logs in with credentials", async ({ skip }) => {
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);
    const [curl = ""] = readBlocks("docs/log-in.md", "## With your credentials", "sh");

    await expectKey(await paste(curl, fixture.home, await stack.env()));
  });

  it("logs in without sending a secret, in Node", async () => {
    const [program = ""] = readBlocks("docs/log-in.md", "## Without sending a secret", "js");

    await expectKey(await run(process.execPath, ["--input-type=module", "--eval", program]));
  });

  it("logs in without sending a secret, in Python", async ({ skip }) => {
    const hasBotocore = await runProgram("python3", ["-c", "import botocore"], {}).catch(() => ({ code: 1 }));
    skip(hasBotocore.code !== 0, "this python3 has no botocore");
    const [program = ""] = readBlocks("docs/log-in.md", "## Without sending a secret", "python");

    await expectKey(await run("python3", ["-c", program]));
  });
});

async function expectFirstSession(home: string): Promise<void> {
  const [session = "", enter = ""] = readBlocks(page, "## A first session", "sh");

  // A user who never used SSH has no ~/.ssh.
  const { code, stdout, stderr } = await paste(`${session}\n${enter}`, home, { HOME: home });

  const states = stdout.split("\n").flatMap((line) => (line.startsWith('{"status"') ? [JSON.parse(line)] : []));
  const [first = "", second = ""] = stdout.split("The next job").map((part) => part.split(/finds the file.*\n/).at(-1));
  const dates = (text: string) => text.split("\n").filter((line) => /^\w{3} .*\d\d:\d\d:\d\d/.test(line));
  expect([code, stderr]).toEqual([0, ""]);
  expect(states.filter(({ status }) => status === "active")).toHaveLength(3);
  expect(states.at(-2)).toMatchObject({ ssh_command: null });
  expect(states.at(-1)).toMatchObject({
    ssh_command: expect.stringMatching(/^ssh -p \d+ gpu-dev-[\w-]+@127\.0\.0\.1$/),
  });
  expect(stdout).toContain("Extension request submitted for 0.5 hours");
  expect([dates(first).length, dates(second).length]).toEqual([1, 2]);
  expect(dates(second)[0]).toBe(dates(first)[0]);
}

async function run(program: string, words: readonly string[]) {
  return runProgram(program, words, { cwd: fixture.home, env: environmentFor(fixture.home, await stack.env()) });
}

async function expectKey({ code, stdout, stderr }: { code: number | null; stdout: string; stderr: string }) {
  expect([code, stderr]).toEqual([0, ""]);
  expect(await jobClient(stack.url, stdout.trim()).list()).toBeInstanceOf(Array);
}
