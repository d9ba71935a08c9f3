import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { forgetAccess, noteAccess, writeAccess } from "../runs/access-record.ts";
import { writeEnd, writeProcesses } from "../runs/records.ts";
import { findProcess } from "../supervisor/process-identity.ts";
import { findSshRuns } from "./ssh-runs.ts";

describe("the runs of an SSH user name", () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync("/var/tmp/berth-logins-");
  });
  afterEach(() => {
    rmSync(home, { recursive: true });
  });

  const formatName = (run: number) => `${randomBytes(16).toString("hex")}-r${run}`;
  const getDirectory = (name: string) => join(home, "runs", name);
  const access = (login: string) => ({ revision: 1, login, keys: [`ssh-ed25519 ${login}`], jupyter: null });
  /** Creates a run that lives as long as this process. */
  const begin = (login: string): string => {
    const name = formatName(1);
    mkdirSync(getDirectory(name), { recursive: true });
    const self = findProcess(process.pid);
    if (!self) throw new Error("This process was not found");
    writeProcesses(getDirectory(name), { supervisor: self, started: true, machines: [] });
    writeAccess(getDirectory(name), access(login));
    return name;
  };
  const found = (login: string) => findSshRuns(home, login).map(({ name }) => name);

  it("are found without reading other runs", () => {
    const [first, second] = [begin("both"), begin("both")];
    const otherName = begin("other");
    for (let n = 0; n < 100; n += 1) {
      // Reading one of these directories as a file fails.
      for (const file of ["access.json", "processes.json", "end.json"]) {
        mkdirSync(join(getDirectory(formatName(2)), file), { recursive: true });
      }
    }

    expect(found("both").toSorted()).toEqual([first, second].toSorted());
    expect(found("other")).toEqual([otherName]);
    expect(["", ".", "..", "../..", `${first}`, "\0", "x".repeat(100_000)].flatMap(found)).toEqual([]);
  });

  it("are the living ones", () => {
    const name = begin("one");
    writeEnd(getDirectory(name), { started: true, exitCode: 0, reason: null });

    expect(found("one")).toEqual([]);
  });

  it("leave no entry, even after an interrupted removal", () => {
    const [first, second] = [begin("one"), begin("two")];

    forgetAccess(getDirectory(first));
    for (const name of [first, second]) rmSync(getDirectory(name), { recursive: true });
    found("two");

    expect(readdirSync(join(home, "runs", ".logins"))).toEqual([]);
  });

  it("are found in a home of an earlier release after adoption", () => {
    const name = begin("one");
    rmSync(join(home, "runs", ".logins"), { recursive: true });
    const before = found("one");

    noteAccess(getDirectory(name));

    expect([before, found("one")]).toEqual([[], [name]]);
  });
});
