import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openServer } from "../../sdk/server-fixture.ts";
import { cleanEnvironment } from "../cli-fixture.ts";
import { ownSshKey } from "../ssh/ssh-key.ts";
import { rememberKey } from "./job-entries.ts";
import { withLock } from "./lock.ts";
import { readState, statePath, writePrivate } from "./state.ts";

let place: string;
const { XDG_CONFIG_HOME: before } = process.env;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "berth-state-"));
  process.env.XDG_CONFIG_HOME = place;
});
afterEach(() => {
  if (before === undefined) delete process.env.XDG_CONFIG_HOME;
  if (before !== undefined) process.env.XDG_CONFIG_HOME = before;
  rmSync(place, { recursive: true });
});

test("a planted link in the place of a file, or of a draft, is never followed", () => {
  const path = statePath("profiles.json");
  mkdirSync(statePath());
  const outside = join(place, "outside");
  writeFileSync(outside, "kept");
  for (const name of [path, `${path}.${process.pid}`]) symlinkSync(outside, name);

  writePrivate(path, "new");

  expect(readFileSync(outside, "utf8")).toBe("kept");
  expect(readFileSync(path, "utf8")).toBe("new");
  expect([lstatSync(path).isFile(), statSync(path).mode & 0o777]).toEqual([true, 0o600]);
});

test.for(["", "let-in"])(
  "a directory berth/%s that another user owns, or a link to it, is refused",
  (name, { skip }) => {
    if (process.getuid?.() !== 0) skip("only root can give a directory to another user");
    const directory = join(place, "berth", name);
    const theirs = join(place, "theirs");
    mkdirSync(theirs);
    chownSync(theirs, 12_345, 12_345);
    mkdirSync(join(directory, ".."), { recursive: true });
    symlinkSync(theirs, directory);
    expect(() => rememberKey({ job_id: "one" }, "key")).toThrow(/belongs to another user$/);
    expect(readdirSync(theirs)).toEqual([]);

    rmSync(directory);
    mkdirSync(directory);
    chownSync(directory, 12_345, 12_345);
    expect(() => rememberKey({ job_id: "one" }, "key")).toThrow(/belongs to another user$/);
  },
);

test("a directory that other users may write to loses their permission", () => {
  mkdirSync(statePath());
  chmodSync(statePath(), 0o777);

  writePrivate(statePath("profiles.json"), "{}");

  expect(statSync(statePath()).mode & 0o777).toBe(0o700);
});

test("a relative XDG_CONFIG_HOME is ignored, as its specification says", () => {
  process.env.XDG_CONFIG_HOME = "state";

  expect(statePath()).toBe(join(process.env.HOME ?? "", ".config/berth"));
});

test("entries of jobs that were not written for a month are removed with the next one", () => {
  for (const job_id of ["old", "young"]) rememberKey({ job_id }, "key");
  utimesSync(statePath("let-in", "old"), 1, 1);

  rememberKey({ job_id: "next" }, "key");

  expect(readdirSync(statePath("let-in")).toSorted()).toEqual(["next", "young"]);
});

test.each([
  [
    "a directory in its place",
    () => mkdirSync(statePath("profiles.json"), { recursive: true }),
    /a directory is in its/,
  ],
  ["a file as its directory", () => writeFileSync(statePath(), ""), /a file is in the place of its directory/],
])("%s is reported in one sentence with a hint", (_, spoil, message) => {
  spoil();

  expect(() => writePrivate(statePath("profiles.json"), "{}")).toThrow(message);
  expect(() => writePrivate(statePath("profiles.json"), "{}")).toThrow(
    expect.objectContaining({ hint: expect.stringMatching(/^Set XDG_CONFIG_HOME /) }),
  );
});

test("an unreadable file is not treated as missing", () => {
  mkdirSync(statePath("profiles.json"), { recursive: true });

  expect(() => readState(statePath("profiles.json"))).toThrow(/cannot be read: a directory is in its place$/);
});

test.for([
  ["a full disk", "the disk is full", ["--size", "4096", "--tmpfs", "/tmp/berth-config"]],
  ["a read-only disk", "the file system is read-only", ["--ro-bind", "/etc", "/tmp/berth-config"]],
] as const)("%s is reported in one sentence with a hint", async ([_, reason, mounts], { skip }) => {
  if (spawnSync("bwrap", ["--bind", "/", "/", "true"]).status !== 0) skip("bubblewrap does not run here");
  const server = await openServer(() => ({ body: { username: "u", key: { expires_at: "2030-01-01T00:00:00Z" } } }));
  const words = [process.execPath, join(import.meta.dirname, "../berth.mjs"), "login", server.url, "--key-stdin"];
  const env = { ...cleanEnvironment(), XDG_CONFIG_HOME: "/tmp/berth-config" };
  // The checkout may be in the directory that the sandbox hides.
  const root = join(import.meta.dirname, "../../..");
  const places = ["--bind", "/", "/", "--tmpfs", "/tmp", "--bind", root, root, "--dev-bind", "/dev", "/dev"];
  const sandbox = [...places, ...mounts, "--", ...words];
  const child = spawn("bwrap", sandbox, { env });
  const parts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) child[name].on("data", (part) => (parts[name] += part));
  child.stdin.end("k".repeat(5000));
  const [code] = await once(child, "close");

  server.close();
  expect({ code, ...parts }).toEqual({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(
      new RegExp(`^error: /tmp/berth-config\\S+ cannot be written: ${reason}\nhint: Set XDG.*\n$`),
    ),
  });
});

test("the key of another user is refused with a message", ({ skip }) => {
  if (process.getuid?.() !== 0) skip("only root can give a file to another user");
  const { path } = ownSshKey();
  chownSync(path, 12_345, 12_345);

  expect(ownSshKey).toThrow(/is the key of another user$/);
});

test("a damaged SSH key is reported in one sentence", () => {
  writePrivate(statePath("id_ed25519"), "no key");

  expect(ownSshKey).toThrow(/id_ed25519 is not a usable key: [^\n]+$/);
});

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "close");
  return child.pid ?? 0;
}

test("the lock of a process that is gone, or whose pid was reused, is taken at once", async () => {
  const left = [
    { host: hostname(), pid: await deadPid(), start: "1" },
    { host: hostname(), pid: process.pid, start: "another" },
  ];
  for (const holder of left) {
    writePrivate(statePath("login.lock"), JSON.stringify(holder));

    expect(await withLock("login", async () => "in")).toBe("in");
  }
  expect(readdirSync(statePath())).toEqual([]);
});

/** A process that waits for the lock, goes in, and writes that it was there. */
function enter() {
  const script = `
    import { appendFileSync } from "node:fs";
    import { withLock } from ${JSON.stringify(join(import.meta.dirname, "lock.ts"))};
    await withLock("login", async () => {
      for (const word of ["in", "out"]) appendFileSync(${JSON.stringify(join(place, "log"))}, word + "\\n");
    });`;
  return spawn(process.execPath, ["--input-type=module", "-e", script]);
}

test("a command waits for the lock of a process that lives, or is on another machine", async () => {
  const { pid } = process;
  const held = withLock("login", async () => {
    const waiting = enter();
    const [said] = await once(waiting.stderr, "data");
    expect(String(said)).toContain("Waiting for another berth");
    expect(existsSync(join(place, "log"))).toBe(false);
    return waiting;
  });
  await once(await held, "close");
  expect(readFileSync(join(place, "log"), "utf8")).toBe("in\nout\n");

  writePrivate(statePath("login.lock"), JSON.stringify({ host: "elsewhere", pid, start: "1" }));
  const waiting = enter();
  await once(waiting.stderr, "data");
  expect(readFileSync(join(place, "log"), "utf8")).toBe("in\nout\n");
  rmSync(statePath("login.lock"));
  await once(waiting, "close");
  expect(readFileSync(join(place, "log"), "utf8")).toBe("in\nout\n".repeat(2));
});

test("of many processes that find the lock of a dead one, one at a time takes it", async () => {
  writePrivate(statePath("login.lock"), JSON.stringify({ host: hostname(), pid: await deadPid(), start: "1" }));
  const children = Array.from({ length: 6 }, enter);
  await Promise.all(children.map((child) => once(child, "close")));

  expect(readFileSync(join(place, "log"), "utf8")).toBe("in\nout\n".repeat(6));
});
