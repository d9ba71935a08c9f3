import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { missingPrograms, runProgram } from "./program.ts";
import { openStackFixture, root, type StackProcess } from "./stack-fixture.ts";

const fixture = openStackFixture("berth-clients-");
const tools = join(root, "tools/openapi");
let stack: StackProcess;
let key: string;
let scratch: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "berth-generated-"));
  stack = await fixture.start();
  key = (await stack.env()).API_KEY ?? "";
});

afterAll(async () => {
  rmSync(scratch, { recursive: true });
  await fixture.close();
});

/** Limits for generators and compilers on a busy machine. */
const limits = { program: 180_000, test: 600_000 };

/** Output of both programs on success. */
const seen = {
  submitted: "queued",
  sameJob: true,
  gpus: 0,
  knownStatus: true,
  cancelled: "cancel",
  unknown: [404, "Job nope not found"],
};

describe("a client that is generated from openapi.json", () => {
  it("in TypeScript compiles under strict rules, and submits, shows and cancels a job", {
    timeout: limits.test,
  }, async () => {
    const generator = join(tools, "node_modules/.bin/openapi-typescript");
    const compiler = join(tools, "node_modules/.bin/tsc");
    symlinkSync(join(root, "node_modules"), join(scratch, "node_modules"));
    copyFileSync(join(tools, "clients/submit-get-cancel.ts"), join(scratch, "submit-get-cancel.mts"));

    const made = await run(generator, [
      join(root, "openapi.json"),
      "--default-non-nullable=false",
      "-o",
      join(scratch, "berth.d.ts"),
    ]);
    const compiled = await run(compiler, [
      ...["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--types", "node"],
      ...["--target", "es2022", "--module", "nodenext", "--outDir", "out", "submit-get-cancel.mts"],
    ]);
    const { code, stdout, stderr } = await run(process.execPath, ["out/submit-get-cancel.mjs", stack.url, key]);

    expect(made.code, made.stderr).toBe(0);
    expect(compiled.code, compiled.stdout).toBe(0);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual(seen);
  });

  it("in Python is imported completely, and submits, shows and cancels a job", { timeout: limits.test }, async ({
    skip,
  }) => {
    const missing = missingPrograms("python3", "openapi-python-client");
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")} (pip install openapi-python-client==0.29.1)`);
    const out = join(scratch, "python");

    const made = await run("openapi-python-client", [
      ...["generate", "--path", join(root, "openapi.json"), "--meta", "none", "--output-path", join(out, "berth")],
      ...["--config", join(tools, "clients/python-client.yaml"), "--fail-on-warning"],
    ]);
    const whole = await run("python3", ["-m", "compileall", "-q", out]);
    const program = join(tools, "clients/submit_get_cancel.py");
    const { code, stdout, stderr } = await run("python3", ["-W", "error", program, stack.url, key], {
      PYTHONPATH: out,
    });

    expect(made.code, made.stdout + made.stderr).toBe(0);
    expect(whole.code, whole.stdout).toBe(0);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual(seen);
  });

  it("in Python compiles every pattern of the document", async ({ skip }) => {
    const missing = missingPrograms("python3");
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);

    const { code, stdout, stderr } = await run("python3", [
      join(tools, "clients/compile_patterns.py"),
      join(root, "openapi.json"),
    ]);

    expect(code, stderr).toBe(0);
    expect(Number(stdout)).toBeGreaterThan(20);
  });
});

async function run(program: string, words: readonly string[], more: NodeJS.ProcessEnv = {}) {
  const env = { PATH: process.env.PATH, HOME: scratch, PYTHONDONTWRITEBYTECODE: "1", ...more };
  return runProgram(program, words, { cwd: scratch, env, timeout: limits.program });
}
