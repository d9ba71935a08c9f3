import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import type { Compute, Run } from "#core/ports/compute.ts";
import { must } from "#tests/cluster/objects.ts";
import { kubernetesCompute } from "../compute.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import type { Pod } from "../objects.ts";
import { buildPaths } from "../paths.ts";

const RUNS = 12;
/** Three restarts of a control plane on a busy machine. */
const LONGEST_MS = 400_000;
let fixture: ClusterFixture;

afterEach(() => fixture.stop());

it("loses and repeats nothing while the API server and etcd are killed", {
  timeout: LONGEST_MS,
  retry: 0,
}, async () => {
  fixture = await openClusterFixture(["one", "two", "three"].map((name) => ({ name, instanceType: "p5.48xlarge" })));
  const runs = Array.from({ length: RUNS }, (_, at) => getRun(at));

  let areAllOver = false;
  const kill = async () => {
    for (let times = 0; !areAllOver && times < 3; times += 1) {
      await fixture.cluster.controlPlane.restart(times === 1 ? "etcd" : "apiserver");
      await sleep(500);
    }
  };
  const lives = Promise.all(runs.map(live)).finally(() => {
    areAllOver = true;
  });
  await Promise.all([lives, kill()]);

  const begun = await Promise.all(runs.map(({ uid }) => readFile(join(fixture.files, uid), "utf8")));
  expect(begun).toEqual(runs.map(() => "begun\n"));
  expect(await fixture.compute.listRuns()).toEqual([]);
  for (const path of [
    `/apis/batch/v1/namespaces/${namespace}/jobs`,
    `/api/v1/namespaces/${namespace}/pods`,
    `/api/v1/namespaces/${namespace}/secrets`,
  ]) {
    expect(must(await fixture.cluster.admin.get<{ items: unknown[] }>(path)).items, path).toEqual([]);
  }
  const nodes = await fixture.compute.listNodes();
  expect(nodes.map(({ runs: left }) => left)).toEqual([[], [], []]);
});

it("removes a run whose pod the Job controller has kept for a minute although its Job is gone", async () => {
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }]);
  const { controlPlane } = fixture.cluster;
  const aMinuteLater = kubernetesCompute({ ...fixture.options, now: () => Date.now() + 61_000 });
  const run = getRun(0);
  const observe = () => fixture.compute.observe(run.uid, 1);
  const removeWith = ({ remove }: Compute) => remove(run.uid, 1, { graceSeconds: 1, force: false });
  const listPods = async () =>
    must(await fixture.cluster.admin.get<{ items: Pod[] }>(buildPaths(namespace).pods)).items;
  await fixture.compute.apply(run);
  await fixture.eventually(observe, (seen) => seen?.state === "ready");

  controlPlane.pause("controller-manager");
  await removeWith(fixture.compute);
  await fixture.eventually(listPods, ([pod]) => pod?.metadata.deletionGracePeriodSeconds === 0);
  // If the pod went now, the controller could replace it before it learns that the Job is gone.
  await removeWith(fixture.compute);
  const within = await listPods();
  await removeWith(aMinuteLater);
  const left = [await observe(), await listPods()];
  controlPlane.resume("controller-manager");

  expect(within).toHaveLength(1);
  expect(left).toEqual([undefined, []]);
});

function getRun(at: number): Run {
  const uid = randomBytes(16).toString("hex");
  return fixtureRun({
    uid,
    command: `echo begun >>${join(fixture.files, uid)}; while :; do sleep 1; done`,
    env: { TOKEN: "secret" },
    shares: [{ node: ["one", "two", "three"][at % 3] ?? null, units: 1 }],
  });
}

/** Like the core: repeats each call until it is answered, and applies only while it sees nothing. */
async function live(run: Run): Promise<void> {
  const { compute } = fixture;
  const observe = () => again(() => compute.observe(run.uid, 1));
  while ((await observe()) === undefined) await compute.apply(run).catch(() => sleep(50));
  while ((await observe())?.state !== "ready") await sleep(50);
  while ((await readFile(join(fixture.files, run.uid), "utf8").catch(() => "")) === "") await sleep(20);
  do {
    await again(() => compute.remove(run.uid, 1, { graceSeconds: 1, force: false }));
    await sleep(50);
  } while ((await observe()) !== undefined);
}

async function again<Value>(call: () => Promise<Value>): Promise<Value> {
  for (;;) {
    try {
      return await call();
    } catch {
      await sleep(50);
    }
  }
}
