import { spawnSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Lock, type Locking, takeLock } from "./lock.ts";
import { findProcess } from "./process-identity.ts";

describe.each<Locking>(["flock", "file"])("the lock of a run's directory, by %s", (locking) => {
  let root: string;
  let directory: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "berth-lock-"));
    directory = join(root, "run");
    make();
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  const make = () => {
    mkdirSync(directory);
    writeFileSync(join(directory, "lock"), "");
  };
  const held = (): Lock => {
    const lock = takeLock(directory, locking);
    if (typeof lock === "string") throw new Error(`It is ${lock}`);
    return lock;
  };

  it("has one holder at a time", () => {
    const lock = held();

    expect(takeLock(directory, locking)).toBe("busy");
    lock.release();
    held().release();
  });

  it("is refused to another process, and ends with the process that held it", () => {
    const lock = held();
    const elsewhere = lockElsewhere(directory, locking);
    lock.release();
    const later = lockElsewhere(directory, locking);

    expect([elsewhere, later]).toEqual(["busy", "object"]);
    held().release();
  });

  it("cannot be taken in a missing directory", () => {
    rmSync(directory, { recursive: true });

    expect(takeLock(directory, locking)).toBe("gone");
  });

  it("does not carry over to a new directory of the same name", () => {
    const old = held();
    renameSync(directory, join(root, "grave"));
    make();
    const anew = held();

    old.release();

    expect(takeLock(directory, locking)).toBe("busy");
    anew.release();
  });
});

describe("a lock file that names its holder", () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "berth-lock-"));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  const self = findProcess(process.pid);
  it.each([
    ["another start time", { ...self, startedAt: "1" }],
    ["another boot", { ...self, boot: "an earlier one" }],
    ["an unused pid", { ...self, pid: 2 ** 22 + 1 }],
    ["nothing that can be read", undefined],
  ])("is ignored with %s", (_, holder) => {
    writeFileSync(join(directory, "lock.1"), holder ? JSON.stringify(holder) : "{");

    expect(takeLock(directory, "file")).toBeTypeOf("object");
  });

  it("counts while pid, start time and boot match a living process", () => {
    writeFileSync(join(directory, "lock.7"), JSON.stringify(self));

    expect(takeLock(directory, "file")).toBe("busy");
  });

  it("goes to one of two processes that find its holder dead", () => {
    writeFileSync(join(directory, "lock.1"), JSON.stringify({ ...self, startedAt: "1" }));
    writeFileSync(join(directory, "rival"), JSON.stringify(self));

    linkSync(join(directory, "rival"), join(directory, "lock.2"));

    expect(takeLock(directory, "file")).toBe("busy");
  });
});

function lockElsewhere(directory: string, locking: Locking): string {
  const file = fileURLToPath(new URL("./lock.ts", import.meta.url));
  const text = `const { takeLock } = await import(process.argv[1]);
    const lock = takeLock(process.argv[2], process.argv[3]);
    process.stdout.write(typeof lock === "string" ? lock : typeof lock);`;
  const words = ["--input-type=module", "-e", text, file, directory, locking];
  return spawnSync(process.execPath, words, { encoding: "utf8" }).stdout;
}
