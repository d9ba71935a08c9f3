import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runName } from "./run-directory.ts";
import { canSandbox } from "./sandbox-probe.ts";
import { eventually, openTrial, pidsOf, type Trial } from "./trial.ts";

describe("a sandbox whose processes claim to be of another run", () => {
  if (!canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has none that works"));
    return;
  }

  let trial: Trial;
  beforeEach(() => {
    trial = openTrial({ isolation: "bubblewrap" });
  });
  afterEach(async () => {
    await trial.close();
  });

  const claim = (what: string) =>
    `env BERTH_RUN=${runName(trial.uid, 2)} BERTH_NETWORK=${runName(trial.uid, 2)} ${what}`;

  /** The first run makes the claim, the second is the one that it names. */
  async function begin(command: string): Promise<void> {
    await trial.compute.apply(trial.runOf({ run: 2 }));
    await trial.compute.apply(trial.runOf({ command }));
    await eventually(trial.observe, (seen) => seen?.state === "ready");
  }

  it("is not ended with it", async () => {
    await begin(`${claim("sleep 3655")} & exec sleep 3600`);
    await eventually(
      () => pidsOf(trial, "sleep 3655").length,
      (count) => count === 1,
    );

    await trial.compute.endRun(trial.uid, 2);

    expect(await trial.compute.observe(trial.uid, 2)).toBeUndefined();
    expect(pidsOf(trial, "sleep 3655")).toHaveLength(1);
  });

  it("neither ends with it nor keeps it from ending, however often it starts others", async () => {
    await begin(`exec ${claim("sh -c 'while :; do sleep 0.05 & sleep 0.03; done'")}`);

    await trial.compute.remove(trial.uid, 2, { graceSeconds: 0, force: true });

    const removed = () => trial.compute.observe(trial.uid, 2);
    expect(await eventually(removed, (seen) => seen === undefined)).toBeUndefined();
    expect(pidsOf(trial, "sh -c while")).toHaveLength(1);
  });
});
