import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, type Fixture, openFixture } from "../fixture.ts";
import { PATIENCE_MS } from "../patience-fixture.ts";
import type { Locking } from "../supervisor/lock.ts";
import { launch } from "./launch.ts";
import { buildLaunchPlan, type LaunchPlan } from "./plan.ts";
import { writeMark } from "./records.ts";
import { makeRunDirectory } from "./run-directory.ts";

describe.each<Locking>(["flock", "file"])("the supervisor, lock by %s", { retry: 0 }, (locking) => {
  let fixture: Fixture;
  let plan: LaunchPlan;

  beforeEach(() => {
    fixture = openFixture({ isolation: "none", locking });
    const run = fixture.runOf({ command: "echo begun >> begun; sleep 3600" });
    plan = buildLaunchPlan(run, `${fixture.uid}-r1`, {
      home: fixture.home,
      isolation: "none",
      network: "shared",
      locking,
      limits: { groups: null, rlimits: null, processes: 1_024 },
      programs: { path: "/usr/bin:/bin", shown: [] },
    });
    makeRunDirectory(fixture.directory, 1, { "run.json": "{}", lock: "" });
  });
  afterEach(async () => {
    await fixture.close();
  });

  const start = () => launch(plan, PATIENCE_MS);
  const begun = () => {
    const file = join(fixture.directory, "0/work/begun");
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  };

  it("starts a run once for many concurrent callers", async () => {
    const replies = await Promise.all([start(), start(), start(), start(), start()]);

    expect(replies.filter((reply) => reply === "started")).toHaveLength(1);
    expect(replies.filter((reply) => reply === "busy" || reply === "known")).toHaveLength(4);
    expect(await eventually(begun, (text) => text !== "")).toBe("begun\n");
  });

  it("does not start a run that a dead supervisor started", async () => {
    await start();
    process.kill(fixture.supervisorPid(), "SIGKILL");
    await fixture.ended();

    expect(await start()).toBe("known");
  });

  it("starts a run even if its caller dies right after the reply, without a supervisor before", async () => {
    const file = fileURLToPath(new URL("./launch.ts", import.meta.url));
    const text = `const { launch } = await import(process.argv[1]);
      await launch(JSON.parse(process.argv[2]), 0);
      process.kill(process.pid, "SIGKILL");`;
    const words = ["--input-type=module", "-e", text, file, JSON.stringify(plan)];

    await once(spawn(process.execPath, words, { stdio: "ignore" }), "exit");

    expect(await eventually(begun, (written) => written !== "")).toBe("begun\n");
  });

  it("starts nothing in a missing directory", async () => {
    rmSync(fixture.directory, { recursive: true });

    expect(await start()).toBe("gone");
  });

  it.each(["removal", "stopped"] as const)("starts nothing after a mark of its %s", async (mark) => {
    writeMark(fixture.directory, mark, Date.now());

    expect(await start()).toBe("ended");
    const seen = await eventually(fixture.observe, (observed) => observed === undefined || observed.state === "ended");
    expect(seen?.started ?? false).toBe(false);
  });
});
