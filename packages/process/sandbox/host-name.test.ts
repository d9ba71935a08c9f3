import { hostname } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { logText } from "#tests/fixtures/log-text.ts";
import { type Fixture, fixtureNodes, lacks, openFixture } from "../fixture.ts";
import { hostNameFor, machineHostName } from "./host-name.ts";

describe("the host name for a name", () => {
  it.each([
    ["first-steps", "first-steps"],
    ["My Training_Run #2", "my-training-run-2"],
    ["a.b.c", "a-b-c"],
    ["--all; rm -rf / --", "all-rm-rf"],
    ["$(reboot)\n127.0.0.1 github.com", "reboot-127-0-0-1-github-com"],
    ["x".repeat(200), "x".repeat(63)],
    [`${"x".repeat(62)}-y`, "x".repeat(62)],
    ["\u00e9\u{1f680}", "environment"],
    ["127", "environment-127"],
    ["0x7f000001", "environment-0x7f000001"],
    ["", "environment"],
  ])("is for %j %s", (name, label) => {
    expect(hostNameFor(name)).toBe(label);
  });

  it("differs for each machine of a run, even if the name is long", () => {
    const long = "x".repeat(63);

    expect([0, 1, 12].map((rank) => machineHostName(long, rank))).toEqual([
      long,
      `${"x".repeat(61)}-1`,
      `${"x".repeat(60)}-12`,
    ]);
  });
});

describe("the host name inside a sandbox", () => {
  const lacking = lacks("shared");
  if (lacking) {
    it("needs bubblewrap", ({ skip }) => skip(lacking));
    return;
  }

  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture({ isolation: "bubblewrap" });
  });
  afterEach(() => fixture.close());

  it("is the environment's name, which resolves to its own loopback, without the machine's name", async () => {
    const input = 'hostname; uname -n; cat /etc/hostname; echo "$HOSTNAME"; getent ahostsv4 "$(hostname)" | head -1';
    await fixture.compute.apply(fixture.runOf({ name: "My Run; $(id)", command: input }));
    await fixture.ended();

    const lines = (await logText(fixture.compute.readLog(fixture.uid, 1))).trim().split("\n");

    expect(lines.slice(0, 4)).toEqual(Array(4).fill("my-run-id"));
    expect(lines[4]).toMatch(/^127\.0\.0\.1 /);
    expect(lines).not.toContain(hostname());
  });

  it("differs for each machine of a run, and each resolves the others", async () => {
    const shares = fixtureNodes.map(({ name }) => ({ node: name, units: 8 }));
    const command = "hostname; getent ahostsv4 two-1 two | grep -c 127.0.0.1.*STREAM";
    await fixture.compute.apply(fixture.runOf({ name: "two", shares, gpusPerMachine: 8, command }));
    await fixture.ended();

    const lines = (await logText(fixture.compute.readLog(fixture.uid, 1))).trim().split("\n");

    expect(lines.toSorted()).toEqual(["2", "2", "two", "two-1"]);
  });
});
