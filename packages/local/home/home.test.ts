import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findRunningStack, openHome } from "./home.ts";

let root: string;
let directory: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "berth-home-"));
  directory = join(root, "inner", "home");
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

const record = { url: "http://127.0.0.1:1234", stsUrl: "http://127.0.0.1:1235" };

describe("a home", () => {
  it("is created with access for its owner only", () => {
    openHome(directory).release();

    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  it("is used by one stack at a time, and the second one names the address of the first", () => {
    const home = openHome(directory);
    home.writeRecord({ ...record, stopped: false });

    expect(() => openHome(directory)).toThrow(/Another local stack is using .*1234, pid \d+/);

    home.release();
    openHome(directory).release();
  });

  it("names the stack that runs in it, until that stack has stopped", () => {
    const home = openHome(directory);
    const before = findRunningStack(directory);
    home.writeRecord({ ...record, stopped: false });
    const running = findRunningStack(directory);
    home.writeRecord({ ...record, stopped: true });
    home.release();

    expect([before, running?.url, findRunningStack(directory)]).toEqual([undefined, record.url, undefined]);
    expect(statSync(join(directory, "stack.json")).mode & 0o777).toBe(0o600);
  });

  it("records that the previous stack ended without stopping", () => {
    const first = openHome(directory);
    first.writeRecord({ ...record, stopped: false });
    first.release();

    const second = openHome(directory);
    second.release();

    expect(second.earlier).toMatchObject({ ...record, stopped: false });
  });

  it("is not created in a directory with other files, whose mode stays unchanged", () => {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    writeFileSync(join(directory, "thesis.tex"), "");

    expect(() => openHome(directory)).toThrow(`${directory} contains other files (thesis.tex)`);

    expect(statSync(directory).mode & 0o777).toBe(0o755);
    expect(readdirSync(directory)).toEqual(["thesis.tex"]);
  });

  it("is refused where it cannot be created, with the directory, the reason and the setting", () => {
    expect(() => openHome("/proc/berth")).toThrow(
      "The directory /proc/berth cannot be created: this file system refuses it.\nSet BERTH_HOME to",
    );
  });

  it("is refused below a directory that its user may not enter, with a clear message", () => {
    const closed = root;
    chmodSync(closed, 0o000);
    const { stderr } = openAsPlainUser(join(closed, "home"));
    chmodSync(closed, 0o700);

    expect(stderr).toContain(
      `The directory ${join(closed, "home")} cannot be created: permission denied.\nSet BERTH_HOME to`,
    );
  });

  it("is refused in a directory that its user may not list, with a clear message", () => {
    mkdirSync(directory, { recursive: true });
    chmodSync(root, 0o755);
    chmodSync(directory, 0o000);
    const { stderr } = openAsPlainUser(directory);

    expect(stderr).toContain(`The directory ${directory} cannot be used: permission denied.\nSet BERTH_HOME to`);
  });

  it("of an earlier format is refused with its path and advice, and left unchanged", () => {
    mkdirSync(join(directory, "db"), { recursive: true });

    expect(() => openHome(directory)).toThrow(
      new RegExp(`^${directory} was written by an earlier version of Berth .*\\nMove it away, or set BERTH_HOME`),
    );
    expect(readdirSync(directory)).toEqual(["db"]);
  });

  it.each([
    ["an empty format", ["format", "lock"]],
    ["the draft of a format", ["format.1234"]],
    ["the draft of a lock", ["lock.1234"]],
  ])("is used if it contains only %s, as an interrupted start leaves it", (_, names) => {
    mkdirSync(directory, { recursive: true });
    for (const name of names) writeFileSync(join(directory, name), "");

    openHome(directory).release();

    openHome(directory).release();
    expect(readFileSync(join(directory, "format"), "utf8")).toBe("5\n");
  });

  it.each([
    ["empty", ""],
    ["empty", " \n"],
    ["no number", "\0\0"],
  ])("of the unknown format %s is refused with that name and advice, and left unchanged", (subject, text) => {
    mkdirSync(join(directory, "volumes"), { recursive: true });
    const file = join(directory, "format");
    writeFileSync(file, text);

    expect(() => openHome(directory)).toThrow(
      `${file} is damaged: it is ${subject}, and should say which version of Berth wrote the directory.\n` +
        `Put it back from a copy. Where it was this version: echo 5 > ${file}\n` +
        `Or move ${directory} away: the next start makes a new one, without environments, disks and keys.`,
    );
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  it("of a later format is refused as well", () => {
    openHome(directory).release();
    writeFileSync(join(directory, "format"), "99\n");

    expect(() => openHome(directory)).toThrow(/was written by a later version of Berth \(format 99/);
  });
});

/** Runs as the user `nobody` if this process is root, because root may enter every directory. */
function openAsPlainUser(path: string) {
  // Only once all is read: another user may not enter a checkout that lies in a directory of root's own.
  const becomes =
    process.getuid?.() === 0 ? "process.setgroups([]); process.setgid(65534); process.setuid(65534);" : "";
  const program = `import { openHome } from "#local/home/home.ts"; ${becomes} openHome(${JSON.stringify(path)});`;
  const words = ["--input-type=module", "--eval", program];
  return spawnSync(process.execPath, words, { cwd: import.meta.dirname, encoding: "utf8" });
}
