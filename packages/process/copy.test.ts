import { spawnSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { copyByNode, copyByProgram, findCopy } from "./copy.ts";
import { canSandbox } from "./sandbox-probe.ts";

let root: string;
const never = new AbortController().signal;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "berth-copy-"));
  for (const name of ["from", "to"]) mkdirSync(join(root, name));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

const from = (name = "") => join(root, "from", name);
const to = (name = "") => join(root, "to", name);

describe.each([
  ["by program", copyByProgram],
  ["by Node", copyByNode],
] as const)("a copy %s", (way, copy) => {
  if (way === "by program" && findCopy() !== copyByProgram) {
    it("needs coreutils", ({ skip }) => skip("the cp of this machine is another"));
    return;
  }

  it("keeps contents, hidden files, modes, times and where links lead", async () => {
    mkdirSync(from("deep/er"), { recursive: true });
    writeFileSync(from("deep/er/.hidden"), "text");
    writeFileSync(from("-rf\n*"), "odd", { mode: 0o751 });
    utimesSync(from("-rf\n*"), 1_000_000, 1_000_000);
    symlinkSync("../../outside", from("relative"));
    symlinkSync("/etc/passwd", from("absolute"));

    await copy(from(), to(), never);

    expect(readFileSync(to("deep/er/.hidden"), "utf8")).toBe("text");
    expect(statSync(to("-rf\n*"))).toMatchObject({ mtimeMs: 1_000_000_000, mode: statSync(from("-rf\n*")).mode });
    expect([readlinkSync(to("relative")), readlinkSync(to("absolute"))]).toEqual(["../../outside", "/etc/passwd"]);
  });

  it("does not stumble over a pipe", async () => {
    spawnSync("mkfifo", [from("pipe")]);
    writeFileSync(from("file"), "text");

    await copy(from(), to(), never);

    expect(lstatSync(from("pipe")).isFIFO()).toBe(true);
    expect(readFileSync(to("file"), "utf8")).toBe("text");
  });

  it("fails when it is aborted, and when there is nothing to copy", async () => {
    await expect(copy(from(), to(), AbortSignal.abort())).rejects.toThrow();
    await expect(copy(from("nothing"), to(), never)).rejects.toThrow();
  });
});

describe("a copy to a disk that is full", () => {
  it("is refused in clear words", ({ skip }) => {
    if (!canSandbox()) skip("this machine has no bubblewrap that works, which makes the small disk");
    writeFileSync(from("large"), Buffer.alloc(1024 * 1024, 1));
    const module = fileURLToPath(new URL("./copy.ts", import.meta.url));
    const script = `
      const { ${findCopy().name}: copy } = await import(${JSON.stringify(module)});
      await copy(${JSON.stringify(from())}, "/mnt", new AbortController().signal).catch((error) =>
        console.log(error.name + ": " + error.message));`;
    const places = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--size", "65536", "--tmpfs", "/mnt"];
    const words = [...places, "--", process.execPath, "--input-type=module", "-e", script];

    const { stdout } = spawnSync("bwrap", words, { encoding: "utf8", timeout: 10_000 });

    expect(stdout).toBe("VolumeRefused: There is no space left on the disk of this machine\n");
  });
});
