import { setTimeout as sleep } from "node:timers/promises";
import { describe, it } from "vitest";
import { computeConformance } from "#tests/conformance/compute.ts";
import { openFixture, printing } from "./fixture.ts";
import type { Isolation } from "./runs/records.ts";
import { canSandbox } from "./sandbox/sandbox-probe.ts";
import type { Locking } from "./supervisor/lock.ts";

const ways: readonly (readonly [Isolation, Locking])[] = [
  ["bubblewrap", "flock"],
  ["none", "file"],
];

describe.each(ways)("process compute as every Compute, isolation %s, lock by %s", (isolation, locking) => {
  const options = { isolation, locking };
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  computeConformance(async () => {
    const fixture = openFixture(options);
    return {
      compute: fixture.compute,
      nodes: fixture.nodes,
      now: Date.now,
      pass: sleep,
      close: fixture.close,
      command: (_, { prints, exits, ignoresTerm, lastWords }) => {
        const print = prints.length > 0 ? printing(fixture.shown, prints) : ":";
        if (exits !== undefined) return `${print}; exit ${exits}`;
        if (lastWords) return `trap 'echo "${lastWords}"; exit 0' TERM; ${print}; while :; do sleep 0.1; done`;
        return `${ignoresTerm ? 'trap "" TERM;' : ""} ${print}; while :; do sleep 1; done`;
      },
    };
  });
});
