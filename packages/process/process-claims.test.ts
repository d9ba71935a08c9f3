import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, type Fixture, findPids, openFixture } from "./fixture.ts";
import { runName } from "./runs/run-directory.ts";
import { canSandbox } from "./sandbox/sandbox-probe.ts";

describe("a sandbox whose processes claim to be of another run", () => {
  if (!canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no working bubblewrap"));
    return;
  }

  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture({ isolation: "bubblewrap" });
  });
  afterEach(async () => {
    await fixture.close();
  });

  const claim = (subject: string) =>
    `env BERTH_RUN=${runName(fixture.uid, 2)} BERTH_NETWORK=${runName(fixture.uid, 2)} ${subject}`;

  /** Starts two runs: the first one claims to be the second. */
  async function begin(command: string): Promise<void> {
    await fixture.compute.apply(fixture.runOf({ run: 2 }));
    await fixture.compute.apply(fixture.runOf({ command }));
    await eventually(fixture.observe, (seen) => seen?.state === "ready");
  }

  it("does not end with that run", async () => {
    await begin(`${claim("sleep 3655")} & exec sleep 3600`);
    await eventually(
      () => findPids(fixture, "sleep 3655").length,
      (count) => count === 1,
    );

    await fixture.compute.endRun(fixture.uid, 2);

    expect(await fixture.compute.observe(fixture.uid, 2)).toBeUndefined();
    expect(findPids(fixture, "sleep 3655")).toHaveLength(1);
  });

  it("neither ends with that run nor delays its end, however often it forks", async () => {
    await begin(`exec ${claim("sh -c 'while :; do sleep 0.05 & sleep 0.03; done'")}`);

    await fixture.compute.remove(fixture.uid, 2, { graceSeconds: 0, force: true });

    const removed = () => fixture.compute.observe(fixture.uid, 2);
    expect(await eventually(removed, (seen) => seen === undefined)).toBeUndefined();
    expect(findPids(fixture, "sh -c while")).toHaveLength(1);
  });
});
