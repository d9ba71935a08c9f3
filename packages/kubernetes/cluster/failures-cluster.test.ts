import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Observation, Run } from "#core/ports/compute.ts";
import { removed } from "#tests/cluster/cluster.ts";
import { applyManifests, readManifests } from "#tests/cluster/manifests.ts";
import { must } from "#tests/cluster/objects.ts";
import { logText } from "#tests/fixtures/log-text.ts";
import { kubernetesCompute } from "../compute.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { fleetErrors, nominated, unlaunched, unscheduled } from "../fixtures/karpenter-events-fixture.ts";
import type { Pod } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import { kubernetesClaims } from "../volumes/claims.ts";

const core = `/api/v1/namespaces/${namespace}`;
let fixture: ClusterFixture;

beforeAll(async () => {
  fixture = await openClusterFixture([
    { name: "one", instanceType: "p5.48xlarge" },
    { name: "two", instanceType: "p5.48xlarge", zone: "us-east-1b" },
  ]);
});

afterEach(() => fixture.clear());
afterAll(() => fixture.stop());

async function applied(changes: Partial<Run>, holds: (seen: Observation) => boolean) {
  const run = fixtureRun(changes);
  await fixture.compute.apply(run);
  return { run, seen: await until(run, holds) };
}

async function until({ uid, run }: Run, holds: (seen: Observation) => boolean) {
  const seen = await fixture.eventually(
    () => fixture.compute.observe(uid, run),
    (observed) => observed !== undefined && holds(observed),
  );
  return must({ status: 200, body: seen });
}

async function getPod({ uid }: Run): Promise<Pod> {
  const { items } = must(
    await fixture.cluster.admin.get<{ items: Pod[] }>(`${core}/pods?labelSelector=berth/uid=${uid}`),
  );
  const [pod] = items;
  if (!pod) throw new Error("It has no pod");
  return pod;
}

describe("a log that its node does not find", () => {
  const command = "echo one; while :; do sleep 1; done";

  it("is read again", async () => {
    const { run } = await applied({ command, image: "berth.test/late-log:1" }, ({ state }) => state === "ready");

    const text = await fixture.eventually(
      () => logText(fixture.compute.readLog(run.uid, 1)),
      (log) => log !== "",
    );

    expect(text).toBe("one\n");
  });

  it("is an error, not the node's message as its text", async () => {
    const { run } = await applied({ command, image: "berth.test/lost-log:1" }, ({ state }) => state === "ready");

    await expect(fixture.compute.readLog(run.uid, 1)).rejects.toThrow("The node does not find the container's log");
  });
});

describe("an image", () => {
  it("may still come after one failed pull", async () => {
    const { run, seen } = await applied({ image: "berth.test/late:1" }, ({ reason }) => reason !== null);

    expect(seen).toMatchObject({ state: "image", reason: expect.stringMatching(/^Image not found; the node tries/) });
    expect(await until(run, ({ state }) => state === "ready")).toMatchObject({ started: true, reason: null });
  });

  it("ends the run after two failed pulls", async () => {
    const { seen } = await applied({ image: "berth.test/none:1" }, ({ state }) => state === "ended");

    expect(seen).toMatchObject({ started: false, exitCode: null, reason: "Image not found" });
  });

  it.each(["Upper-Case:1", "with space/x:1", "registry.test:port/x", "x@sha256:short"])(
    "with an invalid name ends the run, which never starts: %s",
    async (image) => {
      const { seen } = await applied({ image }, ({ state }) => state === "ended");

      expect(seen).toMatchObject({ started: false, exitCode: null, reason: "The name of the image is invalid" });
    },
  );

  it("without a shell is reported", async () => {
    const { seen } = await applied({ image: "berth.test/shell-less:1" }, ({ state }) => state === "ended");

    expect(seen).toMatchObject({
      started: false,
      exitCode: null,
      reason: "The command could not be started: its image has no /bin/sh",
    });
  });
});

describe("a run that fits nowhere says why", () => {
  it("if no machine has enough", async () => {
    const wanted = { instanceType: "g5.12xlarge", shares: [{ node: null, units: 1 }] };

    const { seen } = await applied(wanted, ({ reason }) => reason !== null);

    expect(seen).toMatchObject({
      state: "unbound",
      reason: expect.stringMatching(/^0\/2 nodes are available: 2 node\(s\) didn't match Pod's node affinity/),
    });
  });

  it("in the words of the Cluster Autoscaler, once that has spoken", async () => {
    const wanted = { instanceType: "g5.12xlarge", shares: [{ node: null, units: 1 }] };
    const { run } = await applied(wanted, ({ reason }) => reason !== null);
    const { metadata } = await getPod(run);
    const { name, uid } = metadata;
    const event = {
      metadata: { name: `${name}.scale-up`, namespace },
      involvedObject: { kind: "Pod", namespace, name, uid },
      reason: "NotTriggerScaleUp",
      message: "pod didn't trigger scale-up: 1 max node group size reached",
      source: { component: "cluster-autoscaler" },
      lastTimestamp: new Date().toISOString(),
    };
    must(await fixture.cluster.admin.post(`${core}/events`, event));

    // The first driver may have listed the events just before, which it does every ten seconds.
    const newDriver = kubernetesCompute(fixture.options);
    expect(await newDriver.observe(run.uid, 1)).toMatchObject({
      state: "unbound",
      reason: "The Cluster Autoscaler adds no machine: 1 max node group size reached",
    });
  });

  it("in words about AWS, if Karpenter could not launch a machine and its events may be read", async () => {
    const wanted = { pool: "a10g", instanceType: "g5.12xlarge", shares: [{ node: null, units: 1 }] };
    const { run } = await applied(wanted, ({ reason }) => reason !== null);
    const { metadata } = await getPod(run);
    const at = Date.now();
    const { admin } = fixture.cluster;
    must(await admin.post(`${core}/events`, nominated(metadata, "gpu-x7k2p", { at: at - 3_000 })));
    const launch = unlaunched("gpu-x7k2p", fleetErrors.oneZone, { at: at - 2_000 });
    must(await admin.post("/api/v1/namespaces/default/events", launch));
    must(await admin.post(`${core}/events`, unscheduled(metadata, { at: at - 1_000 })));
    // A new driver has listed no events yet.
    const observe = () => kubernetesCompute(fixture.options).observe(run.uid, 1);

    const without = await observe();
    const folder = fileURLToPath(new URL("../../../deploy/kubernetes/karpenter", import.meta.url));
    await applyManifests(admin, await readManifests(folder));
    const seen = await fixture.eventually(observe, (observed) => observed?.lacks !== undefined);

    expect(without?.reason).toMatch(/^Karpenter adds no machine: incompatible with nodepool/);
    expect(seen).toMatchObject({
      state: "unbound",
      reason: "AWS has no g5.12xlarge in us-east-1a now",
      lacks: "machines",
    });
  });

  it("if its disk is in another zone", async () => {
    const claims = kubernetesClaims({ client: fixture.client, paths: buildPaths(namespace), deployment: "fixture" });
    const { id } = await claims.createVolume({
      token: "zones",
      sizeGb: 1,
      zone: "us-east-1b",
      snapshotId: undefined,
    });
    const mounts = [{ volume: { id, zone: "us-east-1b" }, path: "/workspace" }];
    const there = { shares: [{ node: "two", units: 1 }], mounts };
    const { run } = await applied(there, ({ state }) => state === "ready");
    await fixture.compute.remove(run.uid, 1, { graceSeconds: 0, force: false });
    await fixture.clear();

    const { seen } = await applied({ mounts }, ({ reason }) => reason !== null);

    expect(seen).toMatchObject({
      state: "unbound",
      reason: expect.stringMatching(/^Its disk is in another zone than its machine: 0\/2 nodes are available/),
    });
  });
});

describe("a run whose machine", () => {
  it("refused it for good counts as unbound, and is removed as such", async () => {
    const { run, seen } = await applied({ image: "berth.test/refused:1" }, ({ isRejected }) => isRejected === true);
    const { uid } = run;

    expect(seen).toMatchObject({
      state: "unbound",
      started: false,
      reason: "Its machine one refused it: Allocate failed due to no healthy devices present, which is unexpected",
      nodes: [{ name: "one" }],
    });
    await fixture.compute.remove(uid, 1, { graceSeconds: 30, force: false, unlessBound: true });
    await fixture.eventually(
      () => fixture.compute.observe(uid, 1),
      (observed) => observed === undefined,
    );
  });

  it("has no memory left reports that", async () => {
    const { run } = await applied({}, ({ state }) => state === "ready");
    const status = { phase: "Failed", reason: "Evicted", message: "The node was low on resource: memory." };
    const { name } = (await getPod(run)).metadata;
    must(await fixture.cluster.admin.patch(`${core}/pods/${name}/status`, { status }, "strategic-merge"));

    expect(await until(run, ({ state }) => state === "ended")).toMatchObject({
      exitCode: null,
      reason: "evicted by its machine: The node was low on resource: memory.",
    });
  });

  it("is a reclaimed spot machine reports that", async () => {
    const { run } = await applied({}, ({ state }) => state === "ready");
    const taints = [{ key: "aws-node-termination-handler/spot-itn", value: "spot-itn-1", effect: "NoSchedule" }];
    must(await fixture.cluster.admin.patch("/api/v1/nodes/one", { spec: { taints, unschedulable: true } }));
    const { name } = (await getPod(run)).metadata;
    await fixture.evict(name);

    const seen = await until(run, ({ state }) => state === "ended");
    const offered = (await fixture.compute.listNodes()).find((node) => node.name === "one");
    must(await fixture.cluster.admin.patch("/api/v1/nodes/one", { spec: { taints: null, unschedulable: null } }));

    expect(seen).toMatchObject({
      exitCode: null,
      reason: "its machine was taken back by its provider: a spot interruption",
    });
    expect(offered).toMatchObject({ ready: false, interruption: "spot" });
  });
});

describe("a machine", () => {
  const node = async () => (await fixture.compute.listNodes()).find(({ name }) => name === "two");
  const change = async (spec: object) => must(await fixture.cluster.admin.patch("/api/v1/nodes/two", { spec }));
  const gpuTaint = { key: "nvidia.com/gpu", value: "true", effect: "NoSchedule" };

  it.each([
    ["cordoned", { unschedulable: true }, { unschedulable: null }],
    [
      "closed to runs by a taint that they do not tolerate",
      { taints: [gpuTaint, { key: "nvidia.com/gpu", value: "drained", effect: "NoExecute" }] },
      { taints: [gpuTaint] },
    ],
  ])("is not offered while it is %s", async (_, closed, open) => {
    await change(closed);
    const during = await node();
    await change(open);

    expect(during).toMatchObject({ ready: false });
    expect(await fixture.eventually(node, (seen) => seen?.ready ?? false)).toMatchObject({ units: 8, foreignUnits: 0 });
  });

  it("that is tainted for this deployment is offered to it, and its runs start there", async () => {
    const key = "dedicated";
    const own = kubernetesCompute({ ...fixture.options, tolerations: [{ key, value: "research" }] });
    await change({ taints: [gpuTaint, { key, value: "research", effect: "NoSchedule" }] });
    const forOthers = await node();
    const offered = (await own.listNodes()).find(({ name }) => name === "two");

    const run = fixtureRun({ shares: [{ node: "two", units: 1 }] });
    await own.apply(run);
    const seen = await until(run, ({ state }) => state === "ready");
    await change({ taints: [gpuTaint] });

    expect([forOthers?.unready, offered?.ready]).toEqual(["tainted", true]);
    expect(seen).toMatchObject({ started: true });
  });

  it("with false labels is offered with its actual resources, and a run that it attracted shows why it does not start", async () => {
    const [typeLabel, zoneLabel] = ["node.kubernetes.io/instance-type", "topology.kubernetes.io/zone"];
    const types = { "says-gpus": "p5.48xlarge", "says-less": "g5.12xlarge", "says-odd": "constructor" };
    const liars = await fixture.cluster.addNodes(
      Object.entries(types).map(([name, type]) => ({
        name,
        instanceType: name === "says-gpus" ? "m7i.8xlarge" : "p5.48xlarge",
        labels: { [typeLabel]: type, [zoneLabel]: "of.nobody_at-all" },
      })),
    );
    const offered = await fixture.eventually(
      async () => (await fixture.compute.listNodes()).filter(({ name }) => name in types),
      (nodes) => nodes.every(({ ready }) => ready),
    );

    const { seen } = await applied({ shares: [{ node: "says-gpus", units: 1 }] }, ({ reason }) => reason !== null);
    await Promise.all(liars.map((node) => node.remove()));

    expect(Object.fromEntries(offered.map(({ name, units }) => [name, units]))).toEqual({
      "says-gpus": 0,
      "says-less": 4,
    });
    expect(seen).toMatchObject({ state: "unbound", reason: expect.stringContaining("Insufficient nvidia.com/gpu") });
  });

  const input = { resources: { requests: { cpu: "150" } } };

  it.each([
    ["by its containers", { ofPod: {}, ofContainer: input }],
    ["as a whole", { ofPod: input, ofContainer: {} }],
  ])("is offered minus the processors that another pod requests %s, and no more", async (_, theirs) => {
    const spec = {
      nodeName: "two",
      tolerations: [{ operator: "Exists" }],
      containers: [{ name: "main", image: "berth.test/any:1", ...theirs.ofContainer }],
      ...theirs.ofPod,
    };
    must(await fixture.cluster.admin.post("/api/v1/namespaces/default/pods", { metadata: { name: "theirs" }, spec }));
    const offered = await node();
    const fits = { shares: [{ node: "two", units: 1 }] };
    const tooMuch = { shares: [{ node: "two", units: 2 }], gpusPerMachine: 2 };

    const { seen } = await applied(fits, ({ state }) => state === "ready");
    const { seen: refused } = await applied(tooMuch, ({ reason }) => reason !== null);
    must(await fixture.cluster.admin.remove("/api/v1/namespaces/default/pods/theirs", { gracePeriodSeconds: 0 }));
    await removed(fixture.cluster.admin, "/api/v1/namespaces/default/pods/theirs");

    expect(offered).toMatchObject({ units: 8, foreignUnits: 7 });
    expect(seen).toMatchObject({ nodes: [{ name: "two" }] });
    expect(refused).toMatchObject({ state: "unbound", reason: expect.stringContaining("Insufficient cpu") });
  });
});
