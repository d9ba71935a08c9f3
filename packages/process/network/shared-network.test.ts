import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { whyNetworkIsShared } from "./network-probe.ts";

function directoryWith(...programs: string[]): string {
  const directory = mkdtempSync(join(tmpdir(), "berth-programs-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  for (const program of programs) writeFileSync(join(directory, program), "", { mode: 0o755 });
  return directory;
}

test.each([
  [[], "missing here: slirp4netns, iproute2, util-linux"],
  [["ip", "nsenter"], "missing here: slirp4netns"],
  [["slirp4netns", "nsenter"], "missing here: iproute2"],
  [["slirp4netns", "ip", "nsenter"], "the test of a separate network failed"],
])("missing programs of a network are named: with %j", (programs, why) => {
  expect(whyNetworkIsShared(directoryWith(...programs), true)).toBe(why);
});

test("programs may be in several directories, and name servers are checked after them", () => {
  const path = `${directoryWith("slirp4netns")}:${directoryWith("ip", "nsenter")}:/nowhere`;

  expect(whyNetworkIsShared(path, false)).toBe("no name server of this machine is reachable from a separate network");
});
