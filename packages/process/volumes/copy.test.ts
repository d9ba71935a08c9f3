import { spawnSync } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import {
  type Dirent,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PATIENCE_MS } from "../patience-fixture.ts";
import { canSandbox } from "../sandbox/sandbox-probe.ts";
import { copyByNode, copyByProgram, findCopy } from "./copy.ts";

let root: string;
const never = new AbortController().signal;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "berth-copy-"));
  for (const name of ["from", "to"]) mkdirSync(join(root, name));
});
afterEach(() => {
  spawnSync("rm", ["-rf", "--", root]);
});

const from = (name = "") => join(root, "from", name);
const to = (name = "") => join(root, "to", name);

describe.each([
  ["by program", copyByProgram],
  ["by Node", copyByNode],
] as const)("a copy %s", (way, copy) => {
  if (way === "by program" && findCopy() !== copyByProgram) {
    it("needs coreutils", ({ skip }) => skip("this machine's cp is not that of coreutils"));
    return;
  }

  it("keeps contents, hidden files, modes, times and link targets", async () => {
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

  it("does not block on a pipe", async () => {
    spawnSync("mkfifo", [from("pipe")]);
    writeFileSync(from("file"), "text");

    await copy(from(), to(), never);

    expect(lstatSync(from("pipe")).isFIFO()).toBe(true);
    expect(readFileSync(to("file"), "utf8")).toBe("text");
  });

  it(way === "by program" ? "keeps pipes and sockets" : "leaves out pipes and sockets alone", async () => {
    spawnSync("mkfifo", [from("pipe")]);
    writeFileSync(from("file"), "text");
    const listener = createServer().listen(from("socket"));
    await once(listener, "listening");

    await copy(from(), to(), never).finally(() => listener.close());

    const kept = readdirSync(to(), { withFileTypes: true }).map((entry) => [entry.name, getKind(entry)]);
    const file = ["file", "file"];
    const others = [
      ["pipe", "pipe"],
      ["socket", "socket"],
    ];
    expect(kept.sort()).toEqual(way === "by program" ? [file, ...others] : [file]);
  });

  it("fails on an abort, and without a source", async () => {
    await expect(copy(from(), to(), AbortSignal.abort())).rejects.toThrow();
    await expect(copy(from("nothing"), to(), never)).rejects.toThrow();
  });
});

function getKind(entry: Dirent): string {
  if (entry.isFIFO()) return "pipe";
  return entry.isSocket() ? "socket" : "file";
}

describe("a copy of directories that are deeper than any path (limits.h, PATH_MAX)", () => {
  if (findCopy() !== copyByProgram) {
    it("needs coreutils", ({ skip }) => skip("this machine's cp is not that of coreutils"));
    return;
  }
  const inShell = (script: string, directory: string) => {
    const words = ["-c", script, "d".repeat(200)];
    return spawnSync("/bin/sh", words, { cwd: directory, encoding: "utf8" });
  };
  const down = (count: number) => `for n in $(seq ${count}); do cd -P $0 || exit 1; done`;

  it("contains all levels, and can be copied again", async () => {
    const nest = "for n in $(seq 60); do echo $n >file; ln -s file link; mkdir $0 && cd -P $0 || exit 1; done";
    expect(inShell(`${nest}; echo bottom >file; chmod 400 file`, from()).status).toBe(0);
    mkdirSync(join(root, "again"));

    await copyByProgram(from(), to(), never);
    await copyByProgram(to(), join(root, "again"), never);

    for (const directory of [to(), join(root, "again")]) {
      expect(inShell(`${down(60)}; cat file; stat -c %a file`, directory).stdout).toBe("bottom\n400\n");
      for (const depth of [1, 17, 18, 19, 20, 21, 40]) {
        expect(inShell(`${down(depth)}; cat file; readlink link`, directory).stdout).toBe(`${depth + 1}\nfile\n`);
      }
    }
  });

  /** Runs a step in a directory and `count` levels below it. A shell would look up its path at each level. */
  const atBottom = (directory: string, name: string, count: number, step: string) => {
    const script = `
      const fs = require("node:fs");
      const down = (name, before) => {
        for (let n = 0; n < ${count}; n += 1) { before(name); process.chdir(name); }
      };
      ${step}`;
    const words = ["--input-type=commonjs", "-e", script, name];
    const { stdout, stderr } = spawnSync(process.execPath, words, { cwd: directory, encoding: "utf8" });
    return stdout || stderr;
  };
  const nest = 'down(process.argv[1], fs.mkdirSync); fs.writeFileSync("file", "bottom");';
  const readBottom = 'down(process.argv[1], () => {}); console.log(fs.readFileSync("file", "utf8"));';

  it("starts at most two programs per path of full length", async () => {
    const [name, levels] = ["d".repeat(200), 400];
    expect(atBottom(from(), name, levels, nest)).toBe("");
    let programs = 0;
    const count = () => {
      programs += 1;
    };
    subscribe("child_process", count);

    await copyByProgram(from(), to(), never).finally(() => unsubscribe("child_process", count));

    expect(atBottom(to(), name, levels, readBottom)).toBe("bottom\n");
    const fullPaths = (levels * (name.length + 1)) / 4_096;
    expect(programs).toBeLessThan(2 * fullPaths * 1.25);
  });

  it("still fails on other errors", async () => {
    inShell("echo x >taken; for n in $(seq 30); do mkdir $0 && cd -P $0; done", from());
    mkdirSync(to("taken"));

    await expect(copyByProgram(from(), to(), never)).rejects.toThrow("could not be copied");
  });
});

describe("a copy to a full disk", () => {
  it("is refused with a clear message", ({ skip }) => {
    if (!canSandbox()) skip("this machine has no working bubblewrap, which makes the small disk");
    writeFileSync(from("large"), Buffer.alloc(1024 * 1024, 1));
    const module = fileURLToPath(new URL("./copy.ts", import.meta.url));
    const script = `
      const { ${findCopy().name}: copy } = await import(${JSON.stringify(module)});
      await copy(${JSON.stringify(from())}, "/mnt", new AbortController().signal).catch((error) =>
        console.log(error.name + ": " + error.message));`;
    const places = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--size", "65536", "--tmpfs", "/mnt"];
    const words = [...places, "--", process.execPath, "--input-type=module", "-e", script];

    const { stdout } = spawnSync("bwrap", words, { encoding: "utf8", timeout: PATIENCE_MS });

    expect(stdout).toBe("VolumeRefused: There is no space left on the disk of this machine\n");
  });
});
