import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect } from "vitest";
import type { Run, RunRef } from "#core/ports/compute.ts";
import type { ComputeUnderTest, DefineTest } from "./compute.ts";

/** Conformance tests for changes: a follower continues where another one stopped. */
export function changesConformance(open: () => Promise<ComputeUnderTest>, it: DefineTest): void {
  const uid = randomBytes(16).toString("hex");
  let test: ComputeUnderTest;

  beforeEach(async () => {
    test = await open();
  });
  afterEach(async () => {
    await test.close();
  });

  const applied = async (run: number) => {
    await test.compute.apply({
      uid,
      run,
      key: "owner#o#env#gpu-dev|j",
      name: "training",
      pool: "h100",
      instanceType: "p5.48xlarge",
      image: "docker.io/library/busybox",
      command: test.command(uid, { prints: [], exits: undefined }),
      env: {},
      shares: [{ node: test.nodes[run - 1]?.name ?? "", units: 4 }],
      gpusPerMachine: 4,
      mounts: [],
      ports: [],
      resources: null,
      until: test.now() + 3_600_000,
    } satisfies Run);
    for (;;) {
      if ((await test.compute.observe(uid, run))?.state === "ready") break;
      await test.pass(20);
    }
    // A cluster counts ready pods a second later.
    await test.pass(1_500);
  };
  /** Listens until a change of this run is reported, and a moment longer. */
  const listen = async (run: number, from?: string) => {
    const ending = new AbortController();
    const seen: RunRef[] = [];
    let upTo: string | undefined;
    const following = (async () => {
      for await (const change of test.compute.changes(ending.signal, from)) {
        if ("uid" in change) seen.push(change);
        else if ("upTo" in change) upTo = change.upTo;
      }
    })();
    while (!seen.some((ref) => ref.run === run)) await test.pass(20);
    await test.pass(500);
    ending.abort();
    await following;
    return { runs: [...new Set(seen.map((ref) => ref.run))].sort(), upTo };
  };

  it("signals all runs to a new follower, and only later changes to one that continues", async () => {
    await applied(1);
    const first = await listen(1);
    await applied(2);

    const next = await listen(2, first.upTo);
    const lost = await listen(2, "nowhere");

    expect(first.runs).toEqual([1]);
    // A compute without positions begins with all runs again.
    expect(next.runs).toEqual(first.upTo === undefined ? [1, 2] : [2]);
    expect(lost.runs).toEqual([1, 2]);
  });
}
