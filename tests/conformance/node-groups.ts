import { randomBytes } from "node:crypto";
import { expect, it, onTestFinished } from "vitest";
import type { Run, Share } from "#core/ports/compute.ts";
import type { ComputeUnderTest } from "./compute.ts";

/** Conformance tests of Compute with several nodes of one type, of which one is of a node group. */
export function nodeGroupsConformance(open: () => Promise<ComputeUnderTest>): void {
  it("binds a machine still to be created to a node of its group only", async () => {
    const { compute, nodes, now, pass, command, close } = await open();
    onTestFinished(close);
    const ofGroup = nodes.find(({ group }) => group !== undefined);
    if (!ofGroup) throw new Error("No node is of a group");
    const apply = async (share: Share) => {
      const uid = randomBytes(16).toString("hex");
      await compute.apply(newRun(uid, share, command(uid, { prints: [], exits: undefined }), now()));
      return () => compute.observe(uid, 1);
    };
    const ready = async (observe: Awaited<ReturnType<typeof apply>>) => {
      for (let tries = 0; tries < 1_000 && (await observe())?.state !== "ready"; tries += 1) await pass(20);
      return observe();
    };

    // Any scheduler prefers the emptier node.
    await ready(await apply({ node: ofGroup.name, units: 4 }));
    const ofOther = await apply({ node: null, units: 4, group: "absent" });
    const placed = await ready(await apply({ node: null, units: 4, group: ofGroup.group }));

    expect(placed).toMatchObject({ state: "ready", nodes: [{ name: ofGroup.name }] });
    expect(await ofOther()).toMatchObject({ state: "unbound", nodes: [] });
  });
}

const newRun = (uid: string, share: Share, command: string, now: number): Run => ({
  uid,
  run: 1,
  key: "owner#o#env#gpu-dev|j",
  name: "training",
  pool: "h100",
  instanceType: "p5.48xlarge",
  image: "docker.io/library/busybox",
  command,
  env: {},
  shares: [share],
  gpusPerMachine: share.units,
  mounts: [],
  ports: [],
  resources: null,
  until: now + 3_600_000,
});
