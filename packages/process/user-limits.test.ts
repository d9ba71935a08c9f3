import { randomBytes } from "node:crypto";
import { getPriority } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { logText } from "#tests/fixtures/log-text.ts";
import { eventually, type Fixture, lacks, openFixture } from "./fixture.ts";
import { readProcesses } from "./runs/records.ts";
import { mostTerminals, noLimits } from "./sandbox/limits.ts";
import { findUserLimits } from "./sandbox/rlimits.ts";
import { canSandbox } from "./sandbox/sandbox-probe.ts";
import { isAlive } from "./supervisor/process-identity.ts";
import { killTree } from "./supervisor/process-tree.ts";

const isolations = ["bubblewrap", "none"] as const;

describe.each(isolations)("the per-user resources of Linux, isolation %s", (isolation) => {
  const user = findUserLimits();
  const lacking = isolation === "bubblewrap" && !canSandbox() ? "bubblewrap that works" : !user && "prlimit";
  if (lacking || !user) {
    it(`needs ${lacking}`, ({ skip }) => skip(`this machine has no ${lacking}`));
    return;
  }

  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture({ isolation });
  });
  afterEach(() => fixture.close());

  it("are limited for the command of a run and for later commands", async () => {
    const niceness = Math.min(getPriority() + 5, 19);
    const shows = "ulimit -Hn; ulimit -Hi; ulimit -Hq; nice";
    const limits = `${[user.files, user.signals, user.messageBytes, niceness].join("\n")}\n`;
    await fixture.compute.apply(fixture.runOf({ command: `bash -c '${shows}'; exec sleep 3600` }));
    const first = await eventually(
      () => logText(fixture.compute.readLog(fixture.uid, 1)),
      (log) => log.split("\n").length > 4,
    );
    const exec = { id: "later", words: ["bash", "-c", shows], env: {}, stdin: "", directory: undefined };
    await fixture.compute.startExec(fixture.uid, 1, { ...exec, timeoutMs: 60_000 });
    const later = await eventually(
      () => fixture.compute.readExec(fixture.uid, 1, "later", 1_000),
      (status) => status?.state === "ended",
    );

    expect([first, later?.stdout]).toEqual([limits, limits]);
  });

  it("are limited even if the run's PATH leads to other programs", async () => {
    await fixture.compute.apply(fixture.runOf({ env: { PATH: "/nowhere" }, command: "ulimit -Hn" }));
    await fixture.ended();

    expect(await logText(fixture.compute.readLog(fixture.uid, 1))).toBe(`${user.files}\n`);
  });
});

/** Sends descriptors over unread socket pairs until Linux refuses more (sendmsg(2), unix(7)). */
const sendsDescriptors = `exec perl -e 'use Socket; $| = 1; my ($n, @held) = 0;
  my $bytes = pack("PQ", my $byte = "x", 1);
  my $rights = pack("Qll l253", 16 + 4 * 253, 1, 1, (0) x 253);
  my $message = pack("QLx4PQPQlx4", 0, 0, $bytes, 1, $rights, length $rights, 0);
  while (socketpair(my $left, my $right, AF_UNIX, SOCK_STREAM, 0)) { push @held, $left, $right;
    $n += 253 while syscall(${process.arch === "arm64" ? 211 : 46}, fileno $left, $message, 0x40) >= 0;
    last if $! == 109 }
  print "$n in flight\\n"; sleep 3600'`;

describe("a run with its maximum of descriptors in flight", () => {
  const lacking = lacks("own");
  if (lacking) {
    it("needs a network of its own", ({ skip }) => skip(lacking));
    return;
  }

  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture({ isolation: "bubblewrap" });
  });
  afterEach(() => fixture.close());

  it("does not keep other runs from starting", async () => {
    await fixture.compute.apply(fixture.runOf({ command: sendsDescriptors }));
    const log = await eventually(
      () => logText(fixture.compute.readLog(fixture.uid, 1)),
      (text) => text.includes("in flight"),
    );
    const otherName = randomBytes(16).toString("hex");

    await fixture.compute.apply(fixture.runOf({ uid: otherName, key: "k|2", command: "echo begun" }));
    const seen = await eventually(
      () => fixture.compute.observe(otherName, 1),
      (run) => run?.state === "ended",
    );

    expect(Number.parseInt(log, 10)).toBeGreaterThan(1_000);
    expect(seen).toMatchObject({ exitCode: 0 });
    await fixture.compute.remove(otherName, 1, { graceSeconds: 0, force: false });
  });
});

describe("a sandbox that is killed", () => {
  if (!canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  it("loses its first process, and so all others, before the first scan of /proc", async () => {
    const fixture = openFixture({ isolation: "bubblewrap" });
    await fixture.compute.apply(fixture.runOf({ command: "sleep 3600 & sleep 3600 & wait" }));
    await eventually(fixture.observe, (run) => run?.state === "ready");
    const { machines = [] } = readProcesses(fixture.directory) ?? {};
    const sandboxes = machines.flatMap(({ sandbox }) => sandbox ?? []);
    const tree = { name: "none", directory: "/none", volumes: () => [], leaders: [], sandboxes, limits: noLimits };

    const killing = killTree(tree, 60_000);
    // This loop blocks the event loop, so no later scan can have begun.
    const end = performance.now() + 30_000;
    while (sandboxes.some(isAlive) && performance.now() < end);
    const living = sandboxes.filter(isAlive);

    expect([sandboxes.length, living, await killing]).toEqual([1, [], true]);
    await fixture.close();
  });
});

const opensTerminals = `perl -e 'my ($n, @held) = 0; $n++ while open $held[$n], "+<", "/dev/ptmx"; print "$n terminals\\n"'`;

describe("a sandbox that opens terminals endlessly", () => {
  if (!canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  it.each(["own", "shared"] as const)("gets the limit of one sandbox, network %s", async (network) => {
    const fixture = openFixture({ isolation: "bubblewrap", network });
    await fixture.compute.apply(fixture.runOf({ command: `${opensTerminals}` }));
    await fixture.ended();

    expect(await logText(fixture.compute.readLog(fixture.uid, 1))).toBe(`${mostTerminals} terminals\n`);
    await fixture.close();
  });
});
