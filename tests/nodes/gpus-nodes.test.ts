import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ComputeNode, Run } from "#core/ports/compute.ts";
import type { Pod } from "#kubernetes/objects.ts";
import { toMachineStatus } from "#kubernetes/status/machine-status.ts";
import { must } from "../cluster/objects.ts";
import { eventually } from "../e2e/processes.ts";
import { type DriverFixture, openDriverFixture } from "./driver-fixture.ts";
import { debianImage } from "./images.ts";

const pods = "/api/v1/namespaces/default/pods";

let fixture: DriverFixture;

beforeAll(async () => {
  fixture = await openDriverFixture({ nodes: [{ name: "one", instanceType: "p5.48xlarge", gpuPlugin: true }] });
});

// A start that fails leaves no fixture.
afterAll(() => (fixture as DriverFixture | undefined)?.stop());

afterEach(async () => {
  await fixture.clear();
  await fixture.getNode("one").setUnhealthy([]);
  await nodeUntil(({ units }) => units === 8);
});

/** Starts a run with this many GPUs, which prints their ids and devices. */
function applied(gpus: number): Promise<Run> {
  const command = `echo $NVIDIA_VISIBLE_DEVICES; ls /dev | grep -c ^nvidia; trap 'exit 0' TERM; while :; do sleep 0.1; done`;
  return fixture.applied({ command, shares: [{ node: "one", units: gpus }], gpusPerMachine: gpus });
}

/** Returns the ids of the GPUs that a run has. Throws if its devices are others. */
async function getGpus(run: Run): Promise<string[]> {
  const [ids = "", devices] = (await fixture.logUntil(run, (text) => text.split("\n").length === 3)).split("\n");
  expect(Number(devices)).toBe(ids.split(",").length);
  return ids.split(",").toSorted();
}

const countDevices = (run: Run) => fixture.exec(run, ["sh", "-c", "ls /dev | grep -c ^nvidia"]);

/** Returns the node once a listing shows it so. */
async function nodeUntil(holds: (node: ComputeNode) => boolean): Promise<ComputeNode> {
  for (;;) {
    const node = (await fixture.compute.listNodes()).find(holds);
    if (node) return node;
    await sleep(50);
  }
}

const numbered = (...numbers: number[]) => numbers.map((number) => `GPU-${number}`);

describe("the GPUs of a real node", () => {
  it("are allocated in whole sets, to one run each, and a run without room waits for them", async () => {
    const [large, small] = [await applied(5), await applied(3)];
    const sets = [await getGpus(large), await getGpus(small)];
    const late = await applied(4);
    const waits = await fixture.until(late, (seen) => (seen?.reason ?? null) !== null);

    await fixture.compute.remove(large.uid, 1, { graceSeconds: 0, force: false });
    const got = await getGpus(late);

    expect(sets.map(({ length }) => length)).toEqual([5, 3]);
    expect(sets.flat().toSorted()).toEqual(numbered(0, 1, 2, 3, 4, 5, 6, 7));
    expect(waits).toMatchObject({ state: "unbound", reason: expect.stringContaining("Insufficient nvidia.com/gpu") });
    expect(sets[0]).toEqual(expect.arrayContaining(got));
  });

  it("that turn unhealthy are allocated no more, until they are healthy again", async () => {
    await fixture.getNode("one").setUnhealthy(numbered(2, 5));
    const less = await nodeUntil(({ units }) => units !== 8);
    const run = await applied(6);
    const got = await getGpus(run);
    const late = await applied(1);
    const waits = await fixture.until(late, (seen) => (seen?.reason ?? null) !== null);
    await fixture.getNode("one").setUnhealthy(numbered(2));
    const mended = await getGpus(late);

    expect(less).toMatchObject({ units: 6, ready: true });
    expect(got).toEqual(numbered(0, 1, 3, 4, 6, 7));
    expect(waits).toMatchObject({ state: "unbound", reason: expect.stringContaining("Insufficient nvidia.com/gpu") });
    expect(mended).toEqual(numbered(5));
  });

  it("that turn unhealthy under a run do not end it", async () => {
    const run = await applied(8);
    await getGpus(run);

    await fixture.getNode("one").setUnhealthy(numbered(0, 1, 2, 3, 4, 5, 6, 7));
    await nodeUntil(({ units }) => units === 0);
    const seen = await fixture.compute.observe(run.uid, 1);
    const inside = await countDevices(run);

    expect(seen).toMatchObject({ state: "ready", reason: null });
    expect(inside).toMatchObject({ stdout: "8\n", exitCode: 0 });
  });

  it("that a node lacks make its kubelet refuse a pod for good, which counts as unbound", async () => {
    const resources = { limits: { "nvidia.com/gpu": "9" } };
    const pod = {
      metadata: { name: "asks-too-much" },
      spec: { nodeName: "one", containers: [{ name: "main", image: debianImage, resources }] },
    };
    const { admin } = fixture.cluster;
    must(await admin.post(pods, pod));
    const refused = await eventually(
      async () => must(await admin.get<Pod>(`${pods}/asks-too-much`)),
      ({ status }) => status?.phase === "Failed",
    );
    must(await admin.remove(`${pods}/asks-too-much`));

    expect(toMachineStatus(refused)).toMatchObject({ state: "unbound", started: false, isRejected: true });
    expect(toMachineStatus(refused).reason).toMatch(/^Its machine one refused it: .*nvidia\.com\/gpu/);
  });
});
