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
  it("is made for its owner alone", () => {
    openHome(directory).release();

    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  it("a home has one stack at a time, and the second one names the address of the first", () => {
    const home = openHome(directory);
    home.writeRecord({ ...record, stopped: false });

    expect(() => openHome(directory)).toThrow(/Another local stack is using .*1234, pid \d+/);

    home.release();
    openHome(directory).release();
  });

  it("says which stack runs in it, until that one has stopped", () => {
    const home = openHome(directory);
    const before = findRunningStack(directory);
    home.writeRecord({ ...record, stopped: false });
    const running = findRunningStack(directory);
    home.writeRecord({ ...record, stopped: true });
    home.release();

    expect([before, running?.url, findRunningStack(directory)]).toEqual([undefined, record.url, undefined]);
    expect(statSync(join(directory, "stack.json")).mode & 0o777).toBe(0o600);
  });

  it("remembers that the stack before ended without stopping", () => {
    const first = openHome(directory);
    first.writeRecord({ ...record, stopped: false });
    first.release();

    const second = openHome(directory);
    second.release();

    expect(second.earlier).toMatchObject({ ...record, stopped: false });
  });

  it("is not made of a directory with other files, which stays as open as it was", () => {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    writeFileSync(join(directory, "thesis.tex"), "");

    expect(() => openHome(directory)).toThrow(`${directory} holds other files (thesis.tex)`);

    expect(statSync(directory).mode & 0o777).toBe(0o755);
    expect(readdirSync(directory)).toEqual(["thesis.tex"]);
  });

  it("is refused where none can be, with the directory, the reason and the setting", () => {
    expect(() => openHome("/proc/berth")).toThrow(
      "The directory /proc/berth cannot be made: this file system refuses it.\nSet BERTH_HOME to",
    );
  });

  it("is refused below a directory that its user may not enter, in words", () => {
    const closed = root;
    chmodSync(closed, 0o000);
    const { stderr } = openAsPlainUser(join(closed, "home"));
    chmodSync(closed, 0o700);

    expect(stderr).toContain(
      `The directory ${join(closed, "home")} cannot be made: permission denied.\nSet BERTH_HOME to`,
    );
  });

  it("is refused in a directory that its user may not list, in words", () => {
    mkdirSync(directory, { recursive: true });
    chmodSync(root, 0o755);
    chmodSync(directory, 0o000);
    const { stderr } = openAsPlainUser(directory);

    expect(stderr).toContain(`The directory ${directory} cannot be used: permission denied.\nSet BERTH_HOME to`);
  });

  it("of an earlier form is refused by its path, with what to do, and left as it is", () => {
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
  ])("is used where nothing but %s is in it, as a start leaves that was cut off", (_, names) => {
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
  ])("whose format is %s is refused by that name, with what to do, and left as it is", (subject, text) => {
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

  it("of a later form is refused as well", () => {
    openHome(directory).release();
    writeFileSync(join(directory, "format"), "99\n");

    expect(() => openHome(directory)).toThrow(/was written by a later version of Berth \(format 99/);
  });
});

/** What root runs may enter every directory: there, as nobody. */
function openAsPlainUser(path: string) {
  // Only once all is read: another user may not enter a checkout that lies in a directory of root's own.
  const becomes =
    process.getuid?.() === 0 ? "process.setgroups([]); process.setgid(65534); process.setuid(65534);" : "";
  const program = `import { openHome } from "#local/home/home.ts"; ${becomes} openHome(${JSON.stringify(path)});`;
  const words = ["--input-type=module", "--eval", program];
  return spawnSync(process.execPath, words, { cwd: import.meta.dirname, encoding: "utf8" });
}
