import { afterAll, beforeAll, expect, it } from "vitest";
import { compareOrphans, readOrphans } from "#core/admin/orphans.ts";
import type { KubeObject } from "#tests/cluster/client.ts";
import { removed } from "#tests/cluster/cluster.ts";
import { must } from "#tests/cluster/objects.ts";
import { type MemoryWorld, memoryWorld } from "#tests/worlds/memory-world.ts";
import { openSshService } from "../access/ssh-service.ts";
import { kubernetesCompute } from "../compute.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { buildPaths } from "../paths.ts";
import { findJob } from "../runs/read-run.ts";
import { buildRunParts } from "../runs/run-parts.ts";
import type { PersistentVolume } from "../volumes/claim.ts";
import { makeEbsMounts } from "../volumes/ebs-mounts.ts";

const FIVE_MINUTES = 300_000;
const paths = buildPaths(namespace);
let fixture: ClusterFixture;

beforeAll(async () => {
  fixture = await openClusterFixture(["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" })));
});

afterAll(() => fixture.stop());

/** Control plane without any record on this cluster. */
async function strangerTo(deployment: string): Promise<MemoryWorld["ctx"]> {
  const { ctx } = await memoryWorld();
  return { ...ctx, compute: kubernetesCompute({ ...fixture.options, deployment }) };
}

/** Compares four times, five minutes apart, which removes all leftovers. */
async function compareOften(ctx: MemoryWorld["ctx"]): Promise<void> {
  for (let times = 0; times < 4; times += 1) {
    await compareOrphans(ctx);
    await ctx.clock.sleep(FIVE_MINUTES);
  }
}

async function partsThere(): Promise<string[]> {
  const kinds = [paths.secrets, paths.services, paths.networkPolicies];
  const lists = await Promise.all(kinds.map((path) => fixture.cluster.admin.get<{ items: KubeObject[] }>(path)));
  const names = lists.flatMap((list) => must(list).items.map(({ metadata }) => metadata.name));
  // The policy of deploy/kubernetes belongs to no run.
  return names.filter((name) => name !== "environments").sort();
}

const registryLogin = { username: "robot", password: "pass" };
const twoMachines = {
  env: { TOKEN: "secret" },
  registryLogin,
  shares: ["one", "two"].map((node) => ({ node, units: 1 })),
};

it("finds objects that a paused worker wrote after the removal, and removes them as orphans", {
  retry: 0,
}, async () => {
  const ctx = await strangerTo("fixture");
  const run = fixtureRun(twoMachines);
  for (const { path, body } of buildRunParts(run, { paths, deployment: "fixture" }))
    await fixture.client.apply(path, body);
  const written = await partsThere();
  await compareOrphans(ctx);
  const report = await readOrphans(ctx);

  await compareOften(ctx);

  expect(written).toEqual([`${run.uid}-r1`, `registry-${run.uid}-r1`, `run-${run.uid}-r1`, `run-${run.uid}-r1`]);
  expect(report?.runs).toMatchObject([{ uid: run.uid, gpus: 0, why: "only leftovers exist: it has no record" }]);
  expect(await partsThere()).toEqual([]);
  expect(await readOrphans(ctx)).toMatchObject({ runCount: 0, removedCount: 1, gpuHours: 0 });
});

it("releases an EBS volume that such a worker attached for an abandoned run, and keeps the volume", {
  retry: 0,
}, async () => {
  const ctx = await strangerTo("fixture");
  const volume = { id: "vol-0123456789abcdef0", zone: "us-east-1a" };
  const run = fixtureRun({ mounts: [{ volume, path: "/workspace" }] });
  const place = { client: fixture.client, paths, deployment: "fixture" };
  await makeEbsMounts(place, run, fixture.client.deadline());
  const claim = `${paths.claims}/${volume.id}`;
  const held = [claim, `/api/v1/persistentvolumes/berth-${volume.id}`];
  const made = must(await fixture.cluster.admin.get<PersistentVolume>(held[1] ?? ""));

  await compareOften(ctx);

  await Promise.all(held.map((path) => removed(fixture.cluster.admin, path)));
  await compareOrphans(ctx);
  const report = await readOrphans(ctx);
  expect(made.spec.persistentVolumeReclaimPolicy).toBe("Retain");
  expect(report?.runCount).toBe(0);
  expect(report?.removed).toContainEqual(expect.objectContaining({ uid: run.uid, key: run.key }));
});

it("closes the node port of a Job that was deleted without its dependents", { retry: 0 }, async () => {
  const run = fixtureRun();
  const place = { client: fixture.client, paths, deployment: "fixture" };
  await fixture.compute.apply(run);
  const job = await findJob(place, run);
  if (!job) throw new Error("It has no Job");
  await openSshService(place, run, job, 2222);
  must(await fixture.cluster.admin.remove(`${paths.jobs}/${job.metadata.name}`, { propagationPolicy: "Orphan" }));
  await fixture.eventually(
    () => findJob(place, run),
    (found) => found === undefined,
  );
  const [open, listed] = [await partsThere(), await fixture.compute.listParts()];

  await fixture.compute.remove(run.uid, 1, { graceSeconds: 0, force: false });
  await fixture.eventually(
    () => fixture.compute.observe(run.uid, 1),
    (seen) => seen === undefined,
  );

  expect(open).toEqual([`ssh-${run.uid}-r1`]);
  expect(listed).toEqual([{ uid: run.uid, run: 1, key: run.key }]);
  expect(await partsThere()).toEqual([]);
});

it("leaves the objects of another control plane alone, and removes its own by their GPUs", {
  retry: 0,
}, async () => {
  const [ours, theirs] = [await strangerTo("fixture"), kubernetesCompute({ ...fixture.options, deployment: "other" })];
  const [ownRun, living, left] = [fixtureRun(twoMachines), fixtureRun(twoMachines), fixtureRun(twoMachines)];
  await fixture.compute.apply(ownRun);
  await theirs.apply(living);
  for (const { path, body } of buildRunParts(left, { paths, deployment: "other" }))
    await fixture.client.apply(path, body);
  await Promise.all(
    ([fixture.compute, theirs] as const).map((compute, at) =>
      fixture.eventually(
        () => compute.observe((at === 0 ? ownRun : living).uid, 1),
        (seen) => seen?.state === "ready",
      ),
    ),
  );
  const before = await partsThere();
  await compareOrphans(ours);
  const report = await readOrphans(ours);

  await compareOften(ours);
  await fixture.eventually(
    () => fixture.compute.observe(ownRun.uid, 1),
    (seen) => seen === undefined,
  );

  expect(report?.runs).toMatchObject([{ uid: ownRun.uid, gpus: 2, why: "it has no record" }]);
  expect(await partsThere()).toEqual(before.filter((name) => !name.includes(ownRun.uid)));
  expect(await theirs.observe(living.uid, 1)).toMatchObject({ state: "ready", terminating: false });
  expect((await readOrphans(ours))?.gpuHours).toBeGreaterThan(0);
  await theirs.remove(living.uid, 1, { graceSeconds: 0, force: false });
});
