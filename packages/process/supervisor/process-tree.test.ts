import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, type Fixture, openFixture } from "../fixture.ts";
import { readProcesses } from "../runs/records.ts";
import { runName } from "../runs/run-directory.ts";
import { noLimits } from "../sandbox/limits.ts";
import { canSandbox } from "../sandbox/sandbox-probe.ts";
import { findProcess } from "./process-identity.ts";
import { killTree } from "./process-tree.ts";

describe("a sandbox with a process from outside", () => {
  if (!canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  let fixture: Fixture;
  let outside: ChildProcess | undefined;
  beforeEach(() => {
    fixture = openFixture({ isolation: "bubblewrap" });
  });
  afterEach(async () => {
    outside?.kill("SIGKILL");
    await fixture.close();
  });

  it("ends although that process is never reaped", async () => {
    await fixture.compute.apply(fixture.runOf());
    await eventually(fixture.observe, (seen) => seen?.state === "ready");
    const sandbox = readProcesses(fixture.directory)?.machines[0]?.sandbox?.pid ?? 0;
    outside = startWithin(sandbox);
    const inside = await getChild(outside.pid ?? 0);

    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 10, force: false });
    await eventually(fixture.observe, (seen) => seen === undefined);

    expect(findState(inside)).toBe("Z");
    expect(existsSync(`/proc/${sandbox}`)).toBe(true);
    expect(findProcess(sandbox)).toMatchObject({ isSpent: true });
  });
});

describe("a process tree that is killed without any time", () => {
  it("is still killed", async () => {
    const name = runName(randomBytes(16).toString("hex"), 1);
    const child = spawn("sleep", ["3666"], { env: { BERTH_RUN: name }, stdio: "ignore" });
    const ended = once(child, "exit");
    const none = { volumes: () => [], leaders: [], sandboxes: [], limits: noLimits };
    const tree = { name, directory: "/no/such/directory", ...none };

    const isGone = await killTree(tree, -1);

    expect(isGone).toBe(false);
    expect(await ended).toEqual([null, "SIGKILL"]);
    expect(await killTree(tree, -1)).toBe(true);
  });
});

describe("a process tree whose volume the next run gets during the kill", () => {
  it("spares the processes of that run", async () => {
    const volume = mkdtempSync(join(tmpdir(), "berth-volume-"));
    // `detached`, because processes with a terminal belong to no run.
    const start = () => spawn("sleep", ["3677"], { cwd: volume, env: {}, stdio: "ignore", detached: true });
    const own = start();
    const ended = once(own, "exit");
    let next: ChildProcess | undefined;
    let scans = 0;
    const volumes = () => {
      scans += 1;
      if (scans === 1) return [volume];
      next ??= start();
      return [];
    };
    const none = { leaders: [], sandboxes: [], limits: noLimits };

    const isGone = await killTree({ name: "none", directory: "/no/such/directory", volumes, ...none }, 5_000);
    const survivor = findProcess(next?.pid ?? 0);
    next?.kill("SIGKILL");

    expect([isGone, await ended, survivor?.pid]).toEqual([true, [null, "SIGKILL"], next?.pid]);
    expect(survivor).toBeDefined();
    rmSync(volume, { recursive: true });
  });
});

/** Starts a process outside with a child inside. After the child ends, its parent never reaps it. */
function startWithin(sandbox: number): ChildProcess {
  const isOwn = readlinkSync(`/proc/${sandbox}/ns/user`) !== readlinkSync("/proc/self/ns/user");
  const user = isOwn ? ["-U", "--preserve-credentials"] : [];
  const script = "sleep 3633 & exec sleep 3644";
  return spawn("nsenter", ["-t", String(sandbox), ...user, "-p", "--no-fork", "--", "/bin/sh", "-c", script]);
}

function getChild(pid: number): Promise<number> {
  return eventually(
    () => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim()),
    (child) => child > 0 && readFileSync(`/proc/${child}/cmdline`, "utf8").includes("3633"),
  );
}

function findState(pid: number): string | undefined {
  return /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
}
