import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { missingPrograms, runProgram } from "./program.ts";
import { root } from "./stack-fixture.ts";

const sdk = join(root, "packages/python");
const missing = missingPrograms("python3");
/** Whether setuptools builds wheels by itself, as it does since 70.1. */
const canBuild =
  "import setuptools; v = setuptools.__version__.split('.'); (int(v[0]), int(v[1])) >= (70, 1) or __import__('wheel')";
let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "berth-python-"));
});

afterEach(() => rmSync(scratch, { recursive: true }));

/** Runs the machine's python3 without writing bytecode. */
async function python(words: readonly string[], options: { cwd?: string; path?: string } = {}) {
  const { cwd = scratch, path = "" } = options;
  const env = { PATH: process.env.PATH, HOME: scratch, PYTHONDONTWRITEBYTECODE: "1", PYTHONPATH: path };
  return runProgram("python3", words, { cwd, env });
}

describe("the Python SDK", () => {
  it("passes its own tests", async ({ skip }) => {
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);

    const { code, stderr } = await python(["-W", "error", "-m", "unittest", "discover"], { cwd: sdk });

    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/Ran [1-9]\d* tests[\s\S]*\nOK\n$/) });
  });

  it("is imported from its folder with only the standard library", async ({ skip }) => {
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);
    const program = "from sdk.python.client import OnMemOSClient; print(OnMemOSClient())";

    const { stdout, stderr } = await python(["-S", "-c", program], { path: sdk });

    expect({ stdout, stderr }).toEqual({ stdout: "OnMemOSClient('http://localhost:8080')\n", stderr: "" });
  });

  it("is built into a wheel that is imported with its types", async ({ skip }) => {
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);
    const { code: lacking } = await python(["-c", canBuild]);
    skip(lacking !== 0, "this python3 has no setuptools that builds wheels");
    const [source, out] = [join(scratch, "source"), join(scratch, "out")];
    cpSync(sdk, source, { recursive: true });

    const options = ["--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", out];
    const { code, stderr } = await python(["-m", "pip", "wheel", source, ...options]);
    const [wheel = ""] = code === 0 ? readdirSync(out) : [];
    const program = "import sdk, os; from sdk.python.client import OnMemOSClient; import importlib.resources as r; ";
    const seen = await python(["-S", "-c", `${program}print((r.files(sdk) / 'py.typed').is_file())`], {
      path: join(out, wheel),
    });

    expect({ code, wheel }, stderr).toEqual({ code: 0, wheel: "berth_onmemos_sdk-1.0.0-py3-none-any.whl" });
    expect(seen.stdout, seen.stderr).toBe("True\n");
  });
});
