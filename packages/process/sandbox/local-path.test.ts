import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findPrograms, homesIn, systemPath } from "./local-path.ts";

let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "berth-path-")));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

function directory(path: string): string {
  mkdirSync(join(root, path), { recursive: true });
  return join(root, path);
}

function file(path: string): void {
  directory(join(path, ".."));
  writeFileSync(join(root, path), "");
}

const home = () => join(root, ".berth");
const found = (...entries: string[]) => findPrograms(entries.join(":"), home());

describe("the PATH of runs", () => {
  it("contains the system's directories by default", () => {
    expect(found("")).toEqual({ path: systemPath, shown: [] });
  });

  it("contains the given entries once, in order, before the system's", () => {
    const [name, two] = [directory("one"), directory("two")];

    const { path, shown } = found(two, "/usr/bin", name, two);

    expect(path.startsWith(`${two}:/usr/bin:${name}:/usr/local/sbin:`)).toBe(true);
    expect(path.split(":").filter((entry) => entry === "/usr/bin")).toHaveLength(1);
    expect(shown).toEqual([two, name]);
  });

  it("leaves out missing and relative entries, Node projects, the stack's home and whole homes", () => {
    const names = [join(root, "absent"), "bin", directory("project/node_modules/.bin"), directory(".berth/tools")];

    expect(found(...names, homedir(), "/")).toEqual({ path: systemPath, shown: [] });
  });

  it("shows the prefix of a virtual environment, and that of the Python behind it", () => {
    const python = directory("pyenv/versions/3.11/bin");
    file("pyenv/versions/3.11/include/python3.11/Python.h");
    file("pyenv/versions/3.11/bin/python3.11");
    const venv = directory("venv/bin");
    file("venv/pyvenv.cfg");
    symlinkSync(join(python, "python3.11"), join(venv, "python3"));

    expect(found(venv).shown.toSorted()).toEqual([join(root, "pyenv/versions/3.11"), join(root, "venv")]);
  });

  it("shows the roots of conda and pyenv, and an installed Node", () => {
    const [conda, shims, node] = [directory("conda/bin"), directory("pyenv/shims"), directory("node/v24/bin")];
    for (const sign of ["conda/conda-meta", "pyenv/versions", "node/v24/include/node"]) directory(sign);

    expect(found(conda, shims, node).shown).toEqual(["conda", "pyenv", "node/v24"].map((name) => join(root, name)));
  });

  it("leaves out a whole home even through links", () => {
    directory("users/me/bin");
    directory("users/me/include/node");
    directory("users/me/stack");
    symlinkSync(join(root, "users"), join(root, "linked"));
    const me = join(root, "linked/me");
    const home = join(me, "stack");

    const text = [me, join(root, "users/me"), home, join(root, "users/me/stack")].join(":");

    expect(findPrograms(text, home, [me])).toEqual({ path: systemPath, shown: [] });
    expect(findPrograms(join(me, "bin"), home, [me]).shown).toEqual([join(me, "bin")]);
  });

  it("shows only the bin of ~/.local and of a home", () => {
    const [local, ownName] = [directory("me/.local/bin"), directory("me/bin")];
    for (const otherName of ["me/.local/share/keyrings", "me/.local/lib/python3.11", "me/.ssh"]) directory(otherName);

    expect(found(local, ownName).shown).toEqual([local, ownName]);
  });

  it.each([
    ["headers of pip's user packages", "include/python3.11/greenlet/greenlet.h"],
    ["a Node that was unpacked there", "include/node/node.h"],
    ["a Python that was installed there", "include/python3.11/Python.h"],
  ])("shows only programs and libraries of ~/.local, with %s", (_, sign) => {
    const local = directory("me/.local/bin");
    file(`me/.local/${sign}`);
    file("me/.local/share/keyrings/login.keyring");
    directory("me/.local/lib");

    symlinkSync(join(root, "me/.local"), join(root, "linked"));

    const { shown } = found(local, join(root, "linked/bin"));

    const allowed = ["me/.local", "linked"].flatMap((at) => ["bin", "lib"].map((name) => join(root, at, name)));
    const places = shown.filter((place) => !allowed.includes(place));
    expect(shown).toContain(local);
    expect(places).toEqual([]);
  });

  it("shows no whole home of another user whose bin is on the PATH", () => {
    const bin = directory("other/bin");
    directory("other/versions");
    const users = [join(root, "me"), join(root, "other")];

    const { shown } = findPrograms(`${bin}:${users[1]}`, home(), users);

    expect(shown).toEqual([bin]);
  });

  it("reads the homes of users from /etc/passwd", () => {
    const text =
      "root:x:0:0::/root:/bin/sh\nbin:x:2:2::/bin:/bin\nme:x:1000:1000::/srv/me:/bin/sh\nx:x:1001:1001::/:/bin/sh\n";

    expect(homesIn(text)).toEqual(["/root", "/srv/me"]);
  });
});
