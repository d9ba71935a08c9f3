import { afterEach, describe, expect, it } from "vitest";
import type { Observation } from "#core/ports/compute.ts";
import { must } from "#tests/cluster/objects.ts";
import type { ApiClient } from "../client/api-client.ts";
import { kubernetesCompute } from "../compute.ts";
import { runsAmong } from "../fixtures/changed-runs-fixture.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";

/** If all nodes of a zone are lost, controllers hold back, since they suspect themselves. */
const names = ["one", "two", "three"];
const gently = { graceSeconds: 10, force: false };
let fixture: ClusterFixture;

afterEach(() => fixture.stop());

/** Run that is ready on the first node. */
async function open() {
  fixture = await openClusterFixture(names.map((name) => ({ name, instanceType: "p5.48xlarge" })));
  const run = fixtureRun({ shares: [{ node: "one", units: 8 }], gpusPerMachine: 8 });
  await fixture.compute.apply(run);
  const until = (holds: (seen: Observation | undefined) => boolean) =>
    fixture.eventually(() => fixture.compute.observe(run.uid, 1), holds);
  const ready = await until((seen) => seen?.state === "ready");
  const node = fixture.nodes.find(({ name }) => name === "one");
  if (!node) throw new Error("There is no such node");
  const bound = { name: "one", uid: node.uid, providerId: node.providerId };
  return { run, ready, until, bound, isSilent: (seen?: Observation) => (seen?.nodes[0]?.silent ?? null) !== null };
}

describe("a silent node", { retry: 0 }, () => {
  it("keeps its run, which continues once the node is back", async () => {
    const { ready, until, bound, isSilent } = await open();
    const [lost] = fixture.pretendNodes;

    lost?.lose();
    const silent = await until(isSilent);
    const silence = await fixture.compute.findSilence(bound);
    const offered = (await fixture.compute.listNodes()).find(({ name }) => name === "one");
    await lost?.recover();
    const back = await until((seen) => seen?.nodes[0]?.silent === null && seen.state === "ready");

    expect(ready?.nodes).toMatchObject([{ ...bound, silent: null }]);
    expect(silent).toMatchObject({ nodes: [{ ...bound, silent: "notReady" }], terminating: false, exitCode: null });
    expect(offered).toMatchObject({ uid: bound.uid, ready: false, runs: [expect.objectContaining({ units: 8 })] });
    expect(back).toMatchObject({ state: "ready", terminating: false });
    expect(silence).toBe("notReady");
  });

  it("releases its run only by force", async () => {
    const { run, until, isSilent } = await open();
    const [lost] = fixture.pretendNodes;
    lost?.lose();
    await until(isSilent);

    await fixture.compute.remove(run.uid, 1, gently);
    const observation = await until((seen) => seen?.terminating === true);
    await fixture.compute.remove(run.uid, 1, gently);
    const waits = await fixture.compute.observe(run.uid, 1);
    await fixture.compute.remove(run.uid, 1, { ...gently, force: true });

    expect([observation, waits]).toMatchObject([
      { terminating: true },
      { terminating: true, nodes: [{ silent: "notReady" }] },
    ]);
    expect(await until((seen) => seen === undefined)).toBeUndefined();
  });

  it("releases the run's EBS volume with its pod if its driver has it, and not before", async () => {
    const zone = "us-east-1b";
    fixture = await openClusterFixture(names.map((name) => ({ name, instanceType: "p5.48xlarge", zone })));
    const { admin } = fixture.cluster;
    const id = "vol-0123456789abcdef0";
    const run = fixtureRun({ mounts: [{ volume: { id, zone }, path: "/workspace" }] });
    const until = (holds: (seen: Observation | undefined) => boolean) =>
      fixture.eventually(() => fixture.compute.observe(run.uid, 1), holds);
    await fixture.compute.apply(run);
    await until((seen) => seen?.state === "ready");
    const attachments = "/apis/storage.k8s.io/v1/volumeattachments";
    const source = { persistentVolumeName: `berth-${id}` };
    for (const nodeName of ["one", "two"]) {
      const metadata = { name: nodeName, finalizers: ["attacher.test/detaches"] };
      must(await admin.post(attachments, { metadata, spec: { attacher: "ebs.csi.aws.com", nodeName, source } }));
    }
    const going = () =>
      Promise.all(
        ["one", "two"].map(
          async (name) => must(await admin.get(`${attachments}/${name}`)).metadata.deletionTimestamp !== undefined,
        ),
      );
    fixture.pretendNodes[0]?.lose();
    await until((seen) => seen?.nodes[0]?.silent === "notReady");

    await fixture.compute.remove(run.uid, 1, gently);
    const before = await going();
    await fixture.compute.remove(run.uid, 1, { ...gently, force: true });

    expect([before, await going()]).toEqual([
      [false, false],
      [true, false],
    ]);
    expect(await until((seen) => seen === undefined)).toBeUndefined();
  });

  it("keeps its run if another machine of it is lost", async () => {
    fixture = await openClusterFixture(names.map((name) => ({ name, instanceType: "p5.48xlarge" })));
    const { options, cluster } = fixture;
    const compute = kubernetesCompute({
      ...options,
      getMachineState: async ({ name }) => (name === "one" ? "gone" : "running"),
    });
    const run = fixtureRun({ shares: ["one", "two"].map((node) => ({ node, units: 8 })), gpusPerMachine: 8 });
    const until = (holds: (seen: Observation | undefined) => boolean) =>
      fixture.eventually(() => compute.observe(run.uid, 1), holds);
    const nodesOfPods = async () => {
      const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=berth/uid=${run.uid}`;
      const { items } = must(await cluster.admin.get<{ items: { spec: { nodeName: string } }[] }>(path));
      return items.map(({ spec }) => spec.nodeName);
    };
    await compute.apply(run);
    await until((seen) => seen?.state === "ready");
    for (const node of fixture.pretendNodes.slice(0, 2)) node.lose();
    await until((seen) => seen?.nodes.every(({ silent }) => silent === "notReady") ?? false);
    await compute.remove(run.uid, 1, gently);
    await until((seen) => seen?.terminating === true);

    await compute.remove(run.uid, 1, { ...gently, force: true });
    await fixture.eventually(nodesOfPods, (nodes) => !nodes.includes("one"));
    await compute.remove(run.uid, 1, { ...gently, force: true });
    const left = await nodesOfPods();
    await fixture.pretendNodes[1]?.recover();

    expect(left).toEqual(["two"]);
    expect(await until((seen) => seen === undefined)).toBeUndefined();
  });

  it("triggers a reconcile of its run once its object is deleted, before the pod is", async () => {
    const { run, until } = await open();
    const ending = new AbortController();
    const job = `/apis/batch/v1/namespaces/${namespace}/jobs/${run.uid}-r1`;
    await fixture.eventually(
      () => fixture.client.get<{ readonly status?: { readonly ready?: number } }>(job),
      ({ status }) => status?.ready === 1,
    );
    const watching = Promise.withResolvers<void>();
    const openNoted: ApiClient["open"] = (path, ...more) => {
      if (path.startsWith("/api/v1/nodes?")) watching.resolve();
      return fixture.client.open(path, ...more);
    };
    const compute = kubernetesCompute({ ...fixture.options, client: { ...fixture.client, open: openNoted } });
    const changes = compute.changes(ending.signal)[Symbol.asyncIterator]();
    // First every existing run, then the version that the watch has reached.
    while (!("upTo" in (await changes.next()).value));
    await watching.promise;

    await fixture.pretendNodes[0]?.remove();
    const { value } = await runsAmong({ [Symbol.asyncIterator]: () => changes }).next();
    const seen = await until(() => true);
    ending.abort();
    await changes.return?.();

    expect(value).toMatchObject({ uid: run.uid });
    expect(seen).toMatchObject({ state: "ready", terminating: false, nodes: [{ silent: "missing" }] });
  });

  it("is identified by its uid when its name returns with another machine", async () => {
    const { until, bound, isSilent } = await open();
    const [lost] = fixture.pretendNodes;
    await lost?.remove();
    await until(isSilent);

    await fixture.cluster.addNodes([{ name: "one", instanceType: "p5.48xlarge" }]);
    const listed = await fixture.compute.listNodes();
    const seen = await until(() => true);

    expect(listed.find(({ name }) => name === "one")?.uid).not.toBe(bound.uid);
    expect(seen?.nodes).toEqual([{ ...bound, silent: "missing" }]);
    expect(await fixture.compute.findSilence(bound)).toBe("missing");
  });
});
