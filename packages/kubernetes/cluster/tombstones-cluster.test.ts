import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, onTestFinished } from "vitest";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import type { Run } from "#core/ports/compute.ts";
import { must } from "#tests/cluster/objects.ts";
import type { ApiClient } from "../client/api-client.ts";
import { ApiRefused } from "../client/api-error.ts";
import { type KubernetesComputeOptions, kubernetesCompute } from "../compute.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { startCore } from "../fixtures/core-fixture.ts";
import { formatJobName } from "../names.ts";
import { holds, type Job, type Pod } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import { buildTombstone, isTombstone } from "../runs/tombstone.ts";

const paths = buildPaths(namespace);
const removal = { graceSeconds: 1, force: false, tombstones: 1 };
let fixture: ClusterFixture;

beforeAll(async () => {
  fixture = await openClusterFixture(["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" })));
});
afterEach(() => fixture.clear());
afterAll(() => fixture.stop());

const whole = (changes: Partial<Run> = {}) =>
  fixtureRun({ shares: [{ node: "one", units: 8 }], gpusPerMachine: 8, ...changes });
const findJob = (run: Run, machine = 0) => fixture.client.find<Job>(`${paths.jobs}/${formatJobName(run, machine)}`);
const pathOf = (run: Run) => `${paths.jobs}/${formatJobName(run, 0)}`;
const untilReady = ({ uid, run }: Run) =>
  fixture.eventually(
    () => fixture.compute.observe(uid, run),
    (seen) => seen?.state === "ready",
  );
const untilGone = ({ uid, run }: Run) =>
  fixture.eventually(
    () => fixture.compute.observe(uid, run),
    (seen) => seen === undefined,
  );
const listPodNames = async ({ uid }: Run) => {
  const selector = `labelSelector=berth/uid=${uid}`;
  return (await fixture.client.list(`${paths.pods}?${selector}`, ({ metadata }: Pod) => [metadata.name])).items;
};
const getPods = async (run: Run) => (await listPodNames(run)).length;

it("an early end passes its GPUs to the next job at once, and a late start is refused", {
  timeout: 300_000,
}, async () => {
  const applied: Run[] = [];
  const apply = async (run: Run) => {
    applied.push(run);
    return fixture.compute.apply(run);
  };
  const core = await startCore({ ...fixture.compute, apply });
  const waits = new Set<string | null>();
  const { put } = core.ctx.table;
  core.ctx.table.put = async (item, options) => {
    if ("phase" in item) waits.add((item as unknown as { end: { waitsFor: string | null } }).end.waitsFor);
    await put(item, options);
  };
  // One takes both machines.
  await core.create("first", { command: "while :; do sleep 1; done", gpus: 16 });
  const first = await core.until("first", ({ phase }) => phase === "active");
  await core.create("second", { command: "while :; do sleep 1; done", gpus: 16 });
  await core.until("second", ({ phase }) => phase === "queued");

  await requestCancel(core.as, "first");
  const ended = await core.until("first", ({ phase }) => phase === "cancelled");
  const second = await core.until("second", ({ phase }) => phase === "active");
  const [late] = applied;
  const refused = await Promise.allSettled(late ? [fixture.compute.apply(late)] : []);
  await core.stop();

  expect(ended.run).toMatchObject({ startsRefused: true, grant: null });
  expect([...waits]).not.toContain("Waits until no worker can start it again");
  expect(refused).toMatchObject([{ reason: { message: "The run was removed" } }]);
  expect(late).toMatchObject({ uid: first.uid, run: 1 });
  expect(await fixture.compute.listRuns()).toMatchObject([{ uid: second.uid }]);
  expect(second.run.machines.map(({ name }) => name).toSorted()).toEqual(["one", "two"]);
});

it("a tombstone has no pods, is no run, takes no room, and is deleted by the cluster", async () => {
  const run = whole();
  const before = await fixture.compute.listNodes();
  expect(await fixture.compute.remove(run.uid, run.run, removal)).toBe(true);
  const kept = await fixture.eventually(
    () => findJob(run),
    (job) => job !== undefined && holds(job, "Complete"),
  );
  const fleeting = whole();
  must(
    await fixture.cluster.admin.post(
      paths.jobs,
      buildTombstone(fleeting, 0, { deployment: "fixture", image: undefined, keptSeconds: 0 }),
    ),
  );
  await fixture.eventually(
    () => findJob(fleeting),
    (job) => job === undefined,
  );

  expect(kept?.spec).toMatchObject({ completions: 0, parallelism: 0, ttlSecondsAfterFinished: 77 });
  expect(await getPods(run)).toBe(0);
  expect(await fixture.compute.observe(run.uid, 1)).toBeUndefined();
  expect(await fixture.compute.listRuns()).toEqual([]);
  expect(await fixture.compute.listParts()).toEqual([]);
  expect(await fixture.compute.listNodes()).toEqual(before);
});

it("a Job whose command has ended stays as its own tombstone, and its pod and late starts go", async () => {
  const run = whole({ command: "exit 0" });
  const before = await fixture.compute.listNodes();
  await fixture.compute.apply(run);
  await fixture.eventually(
    () => fixture.compute.observe(run.uid, 1),
    (seen) => seen?.state === "ended",
  );
  const ended = await findJob(run);

  const hasTombstones = await fixture.compute.remove(run.uid, 1, removal);
  await untilGone(run);
  const late = await fixture.compute.apply(run).catch((error: Error) => error.message);
  const kept = await findJob(run);
  const complete = await fixture.eventually(
    () => findJob(run),
    (job) => job !== undefined && holds(job, "Complete"),
  );

  expect(hasTombstones).toBe(true);
  expect(late).toBe("The run was removed");
  expect(kept?.metadata.uid).toBe(ended?.metadata.uid);
  expect(kept && isTombstone(kept)).toBe(true);
  expect(Object.keys(kept?.metadata.labels ?? {})).not.toContain("berth/uid");
  expect(complete?.spec).toMatchObject({ ttlSecondsAfterFinished: expect.any(Number) });
  expect(await getPods(run)).toBe(0);
  expect(await fixture.compute.listRuns()).toEqual([]);
  expect(await fixture.compute.listParts()).toEqual([]);
  expect(await fixture.compute.listNodes()).toEqual(before);
});

it("a kept Job creates no other pod although its ended one goes before the Job controller has counted it", async () => {
  const gate = join(fixture.files, "gate");
  const run = whole({ command: `until [ -e ${gate} ]; do sleep 0.1; done` });
  await fixture.compute.apply(run);
  await untilReady(run);
  const { controlPlane } = fixture.cluster;
  controlPlane.pause("controller-manager");
  onTestFinished(() => controlPlane.resume("controller-manager"));
  await writeFile(gate, "");
  await fixture.eventually(
    () => fixture.compute.observe(run.uid, 1),
    (seen) => seen?.state === "ended",
  );
  const [name] = await listPodNames(run);

  const hasTombstones = await fixture.compute.remove(run.uid, 1, removal);
  await fixture.client.patch(`${paths.pods}/${name}`, { metadata: { finalizers: null } });
  await untilGone(run);
  controlPlane.resume("controller-manager");
  // The controller, whose Job had an active pod, either notes that it is gone or creates another one.
  const { pods } = await fixture.eventually(
    async () => ({ pods: await getPods(run), job: await fixture.client.find<CountedJob>(pathOf(run)) }),
    ({ pods, job }) => pods > 0 || !job?.status.active,
  );

  expect(hasTombstones).toBe(true);
  expect(pods).toBe(0);
});

it("a Job that a late worker creates before the tombstone is deleted, and the tombstone follows", async () => {
  const run = whole();
  await fixture.compute.apply(run);
  await untilReady(run);
  let lateUid: string | undefined;
  const between = computeWith({
    create: async (path, body, deadline) => {
      if (lateUid === undefined) {
        await fixture.compute.apply(run);
        lateUid = (await findJob(run))?.metadata.uid;
      }
      return fixture.client.create(path, body, deadline);
    },
  });

  expect(await between.remove(run.uid, 1, removal)).toBe(true);
  await untilGone(run);

  const job = await findJob(run);
  expect(job && isTombstone(job)).toBe(true);
  expect(lateUid).toEqual(expect.any(String));
  expect(job?.metadata.uid).not.toBe(lateUid);
  expect(await getPods(run)).toBe(0);
});

it("a run whose Job a foreign finalizer holds gets no tombstone, and its removal says so", async () => {
  const run = whole();
  await fixture.compute.apply(run);
  const path = `${paths.jobs}/${formatJobName(run, 0)}`;
  await fixture.client.patch(path, { metadata: { finalizers: ["berth.test/stays"] } });

  const early = await fixture.compute.remove(run.uid, 1, removal);
  await fixture.client.patch(path, { metadata: { finalizers: null } });
  await untilGone(run);

  expect(early).toBe(false);
  expect(await fixture.compute.remove(run.uid, 1, removal)).toBe(true);
});

it("a run is removed although a quota refuses its tombstone", async () => {
  const quotas = `/api/v1/namespaces/${namespace}/resourcequotas`;
  const run = whole();
  await fixture.compute.apply(run);
  await untilReady(run);
  must(
    await fixture.cluster.admin.post(quotas, {
      metadata: { name: "none" },
      spec: { hard: { "count/jobs.batch": "0" } },
    }),
  );
  await fixture.eventually(
    () => fixture.cluster.admin.get<{ status?: { hard?: object } }>(`${quotas}/none`),
    ({ body }) => body.status?.hard !== undefined,
  );

  const hasTombstones = await fixture.compute.remove(run.uid, 1, removal);
  await untilGone(run);
  must(await fixture.cluster.admin.remove(`${quotas}/none`));

  expect(hasTombstones).toBe(false);
  expect(await findJob(run)).toBeUndefined();
});

it.each([403, 409, 422, 429, 500])(
  "a run is removed although the API server answers %i to its tombstone",
  async (status) => {
    const run = whole({ command: "exit 0" });
    await fixture.compute.apply(run);
    const refuse = () => Promise.reject(new ApiRefused("POST jobs", status));
    const refusing = computeWith({ create: refuse, patch: refuse });

    expect(await refusing.remove(run.uid, 1, removal)).toBe(false);
    await untilGone(run);
  },
);

it("tombstones appear in no watch of runs", async () => {
  const run = whole();
  const ending = new AbortController();
  const seen: string[] = [];
  const following = (async () => {
    for await (const change of fixture.compute.changes(ending.signal)) {
      if ("uid" in change) seen.push(change.uid);
    }
  })();
  await fixture.compute.remove(run.uid, 1, removal);
  await fixture.eventually(
    () => findJob(run),
    (job) => job !== undefined && holds(job, "Complete"),
  );
  const otherRun = fixtureRun();
  await fixture.compute.apply(otherRun);
  await fixture.eventually(
    async () => seen,
    (uids) => uids.includes(otherRun.uid),
  );
  ending.abort();
  await following;

  expect(seen).not.toContain(run.uid);
});

interface CountedJob {
  readonly status: { readonly active?: number };
}

/** The fixture's driver with some calls of its client replaced. */
function computeWith(calls: Partial<ApiClient>) {
  const options: KubernetesComputeOptions = { ...fixture.options, client: { ...fixture.client, ...calls } };
  return kubernetesCompute(options);
}
