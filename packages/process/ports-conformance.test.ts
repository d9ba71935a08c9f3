import { setTimeout as sleep } from "node:timers/promises";
import { describe, it } from "vitest";
import { portsConformance } from "#tests/conformance/ports.ts";
import { openFixture } from "./fixture.ts";
import type { Isolation } from "./runs/records.ts";
import { canSandbox } from "./sandbox/sandbox-probe.ts";
import type { Locking } from "./supervisor/lock.ts";

const ways: readonly (readonly [Isolation, Locking])[] = [
  ["bubblewrap", "flock"],
  ["none", "file"],
];

describe.each(ways)("process compute, isolation %s, lock by %s", (isolation, locking) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  portsConformance(async () => {
    const { compute, nodes, close } = openFixture({ isolation, locking });
    // Placeholders speak only HTTP.
    const silence = () => undefined;
    return { compute, nodes, now: Date.now, pass: sleep, close, silence, command: () => "sleep 3600" };
  });
});
