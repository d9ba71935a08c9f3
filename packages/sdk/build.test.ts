import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runProgram } from "../local/e2e/program.ts";

test("the SDK is compiled without types of Node, and what comes out is loaded by a plain Node", async () => {
  const out = mkdtempSync(join(tmpdir(), "berth-sdk-"));
  const options = { cwd: import.meta.dirname };

  const built = await runProgram("npx", ["--no-install", "tsc", "-p", ".", "--outDir", out], options);
  const script = `const { Berth, NotFoundError } = await import(${JSON.stringify(join(out, "index.js"))});
    console.log(new Berth({ url: "https://berth.example/" }).url, NotFoundError.name);`;
  const loaded = await runProgram(process.execPath, ["--input-type=module", "-e", script], options);
  rmSync(out, { recursive: true });

  expect(built).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(loaded.stdout).toBe("https://berth.example NotFoundError\n");
});
