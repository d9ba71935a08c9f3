import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { logText } from "#tests/fixtures/log-text.ts";
import { type Fixture, lacks, openFixture } from "../fixture.ts";
import { findLimits } from "./limits.ts";
import { findRlimits } from "./rlimits.ts";
import { sandboxOptions } from "./sandbox.ts";
import { canSandbox } from "./sandbox-probe.ts";

it("a sandbox shows the target of a linked PATH entry", () => {
  const place = mkdtempSync(join(tmpdir(), "berth-sandbox-"));
  const linked = join(place, "bin");
  mkdirSync(join(place, "dotfiles"));
  symlinkSync(join(place, "dotfiles"), linked);

  const nothing = { work: undefined, start: undefined, binds: [], memoryMb: null, env: {}, network: "shared" as const };
  const options = sandboxOptions({ home: join(place, "home"), programs: [linked], ...nothing });

  rmSync(place, { recursive: true });
  expect(options.join(" ")).toContain(`--ro-bind-try ${linked} ${linked}`);
});

const lacking = lacks("shared");

describe("the sandbox", { retry: 0 }, () => {
  if (lacking) {
    it("needs bubblewrap", ({ skip }) => skip(lacking));
    return;
  }

  let fixture: Fixture;

  beforeEach(() => {
    fixture = openFixture({ isolation: "bubblewrap" });
  });
  afterEach(async () => {
    await fixture.close();
  });

  const getOutput = async (command: string, env: Record<string, string> = {}) => {
    await fixture.compute.apply(fixture.runOf({ command, env }));
    await fixture.ended();
    return logText(fixture.compute.readLog(fixture.uid, 1));
  };

  it("shows nothing of the home but the run's own work directory", async () => {
    writeFileSync(join(fixture.home, "sealing-key"), "the key");
    mkdirSync(join(fixture.home, "database-of-the-stack"));
    await fixture.compute.apply(fixture.runOf({ run: 2 }));

    const seen = await getOutput(
      `cat ${fixture.home}/sealing-key; ls -A ${fixture.home} ${fixture.home}/runs ${fixture.directory}`,
    );

    expect(seen).not.toContain("the key");
    expect(seen).not.toContain("-r2");
    expect(seen).not.toContain("database-of-the-stack");
    expect(seen).not.toContain("run.json");
  });

  it("lets a run write only to its work directory and /tmp", async () => {
    const inTmp = `/tmp/berth-${fixture.uid}`;

    const seen = await getOutput(
      `for f in here ${inTmp} ${fixture.home}/more /usr/more /more /etc/more /opt/more /var/more /dev/more; do echo x > $f && echo "wrote $f"; done`,
    );

    const wrote = seen.split("\n").filter((line) => line.startsWith("wrote"));
    expect(wrote).toEqual(["wrote here", `wrote ${inTmp}`]);
    expect([inTmp, join(fixture.home, "more")].filter(existsSync)).toEqual([]);
  });

  it("shows no process of the machine, and keeps no capability", async () => {
    const seen = await getOutput("ls /proc | grep -c '^[0-9]'; grep CapEff /proc/self/status; kill -9 -1; echo on");

    const [processes, capabilities] = seen.split("\n");
    expect(Number(processes)).toBeLessThan(8);
    expect(capabilities).toMatch(/CapEff:\s+0+$/);
    expect(await fixture.ended()).toMatchObject({ state: "ended" });
  });

  it("resists loader variables of the environment", async () => {
    const seen = await getOutput("echo $LD_LIBRARY_PATH; echo > /usr/more && echo wrote", {
      LD_LIBRARY_PATH: "/nowhere",
      BERTH_RUN: "another",
    });

    expect(seen).toContain("/nowhere");
    expect(seen).not.toContain("wrote");
  });
});

describe.each([
  ["with the limits of this machine", undefined],
  ["without control groups", { ...findLimits("bubblewrap"), groups: null, rlimits: findRlimits("bubblewrap") }],
] as const)("a browser in a sandbox, %s", (_, limits) => {
  const lacking = !canSandbox() || spawnSync("chromium", ["--version"]).status !== 0;

  it("shows a page without its own sandbox, for which it would need a user namespace", async ({ skip }) => {
    if (lacking) return skip("this machine has no chromium, or no bubblewrap that works");
    const fixture = openFixture({ isolation: "bubblewrap", ...(limits && { limits }) });
    const words = "chromium --headless --no-sandbox --disable-gpu --dump-dom 'data:text/html,<h1>hello</h1>' 2>errors";

    await fixture.compute.apply(fixture.runOf({ command: `${words} || cat errors` }));
    const seen = await fixture.ended();
    const output = await logText(fixture.compute.readLog(fixture.uid, 1));
    await fixture.close();

    expect(output).toContain("<h1>hello</h1>");
    expect(seen?.exitCode).toBe(0);
  });
});
