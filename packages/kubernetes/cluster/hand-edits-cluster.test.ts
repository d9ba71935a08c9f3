import { afterAll, beforeAll, expect, it } from "vitest";
import type { Environment } from "#core/environments/record/record.ts";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { refreshCapacity } from "#core/pools/capacity/capacity.ts";
import type { KubeObject, PatchKind } from "#tests/cluster/client.ts";
import { must } from "#tests/cluster/objects.ts";
import { type ClusterFixture, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { type CoreFixture, startCore } from "../fixtures/core-fixture.ts";
import { leftovers } from "../fixtures/soak-leftovers-fixture.ts";
import { buildPaths } from "../paths.ts";

const LONGEST_MS = 300_000;
/** Longer than units of a possible start are held back. */
const GIVEN_BACK_MS = 60_000;
/** Longer than until an unseen run is read again. */
const MISSED_AGAIN_MS = 30_000;
const { pods, jobs } = buildPaths(namespace);
let fixture: ClusterFixture;
let core: CoreFixture;

beforeAll(async () => {
  fixture = await openClusterFixture(["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" })));
  core = await startCore(fixture.compute);
});

afterAll(async () => {
  await core.stop();
  await fixture.stop();
});

/** Uid of an active job with one GPU and variables. */
interface Objects {
  readonly job: string;
  readonly pod: string;
  readonly node: string;
}

const patch = async (path: string, body: object, kind?: PatchKind) =>
  must(await fixture.cluster.admin.patch(path, body, kind));
const remove = async (path: string, options = {}) => must(await fixture.cluster.admin.remove(path, options));

/** Only the pod shows its eviction. A fake pod is gone after 20 ms, a real one after up to 30 s. */
const keepVisible = (pod: string) => patch(pod, { metadata: { finalizers: [finalizer] } }, "strategic-merge");
const letGo = (pod: string) =>
  patch(pod, { metadata: { "$deleteFromPrimitiveList/finalizers": [finalizer] } }, "strategic-merge");
const finalizer = "berth.test/visible";

const podDeleted = "the environment's pod was deleted from outside";
const jobDeleted = "the environment's Job was deleted from outside";

/** Edit with kubectl, and its effect for the job's owner. */
const deeds: readonly {
  readonly title: string;
  readonly does: (objects: Objects) => Promise<unknown>;
  readonly phase: Environment["phase"];
  readonly reason: string | RegExp;
}[] = [
  {
    title: "parallelism-0",
    does: ({ job }) => patch(job, { spec: { parallelism: 0 } }),
    phase: "failed",
    reason: podDeleted,
  },
  {
    title: "suspended",
    does: ({ job }) => patch(job, { spec: { suspend: true } }),
    phase: "failed",
    reason: podDeleted,
  },
  {
    title: "a-deadline",
    does: ({ job }) => patch(job, { spec: { activeDeadlineSeconds: 1 } }),
    phase: "expired",
    reason: "Its time is over",
  },
  {
    title: "job-deleted",
    does: ({ job }) => remove(job, { propagationPolicy: "Background" }),
    phase: "failed",
    // First observation: its pod alone, then its command's end, then nothing.
    reason: /Job was deleted from outside|killed by signal SIGTERM|deleted in the cluster, but not by Berth/,
  },
  {
    title: "job-deleted-alone",
    does: ({ job }) => remove(job, { propagationPolicy: "Orphan" }),
    phase: "failed",
    reason: jobDeleted,
  },
  { title: "pod-deleted", does: ({ pod }) => remove(pod), phase: "failed", reason: podDeleted },
  {
    title: "drained",
    async does({ pod, node }) {
      await patch(`/api/v1/nodes/${node}`, { spec: { unschedulable: true } });
      await keepVisible(pod);
      await fixture.evict(pod.split("/").at(-1) ?? "");
    },
    phase: "failed",
    reason: "it was evicted from its machine",
  },
];

async function active(id: string): Promise<Objects> {
  await core.create(id, { command: "while :; do sleep 1; done", env: { A: "b" }, gpus: 1 });
  const { uid, run } = await core.until(id, ({ phase }) => phase === "active");
  const path = `${pods}?labelSelector=berth/uid=${uid}`;
  const { items } = must(await fixture.cluster.admin.get<{ readonly items: readonly KubeObject[] }>(path));
  const node = run.machines[0]?.name ?? "";
  return { job: `${jobs}/${uid}-r1`, pod: `${pods}/${items[0]?.metadata.name}`, node };
}

it("reports how each hand-edited job ended, and leaves nothing of any", {
  timeout: LONGEST_MS,
  retry: 0,
}, async () => {
  const nodes = await Promise.all(
    deeds.map(async ({ title, does }) => {
      const objects = await active(title);
      await does(objects);
      // A reconcile sees an edit at once; a missing run is read again later, without advancing the clock.
      await core.until(title, ({ phase, run }) => phase !== "active" || run.missedAt !== null);
      if (title === "drained") await letGo(objects.pod);
      return objects.node;
    }),
  );
  core.skip(MISSED_AGAIN_MS);
  await Promise.all(deeds.map(({ title }) => core.until(title, ({ phase }) => phase !== "active")));
  core.skip(GIVEN_BACK_MS);
  const ended = await Promise.all(
    deeds.map(({ title, phase }) =>
      core.until(title, (environment) => environment.phase === phase || environment.phase === "failed"),
    ),
  );
  await refreshCapacity(core.ctx);
  const next = await active("next");
  await requestCancel(core.as, "next");
  await core.until("next", ({ phase }) => phase === "stopping");
  core.skip(GIVEN_BACK_MS);
  await core.until("next", ({ phase }) => phase === "cancelled");

  expect(ended.map(({ phase, reason }, at) => [deeds[at]?.title, phase, reason])).toEqual(
    deeds.map(({ title, phase, reason }) => [
      title,
      phase,
      reason instanceof RegExp ? expect.stringMatching(reason) : expect.stringContaining(reason),
    ]),
  );
  // Cordoned machines get no runs.
  expect(next.node).not.toBe(nodes[deeds.findIndex(({ title }) => title === "drained")]);
  expect(await leftovers(fixture.cluster.admin, namespace)).toEqual([]);
});

it("continues a job whose labels were removed by hand, and removes it like any other", {
  timeout: LONGEST_MS,
  retry: 0,
}, async () => {
  const { job, pod } = await active("labels");
  const labels = { "berth/uid": null, "berth/run": null, "berth/deployment": null };
  await patch(job, { metadata: { labels } });
  const image = { spec: { template: { spec: { containers: [{ name: "main", image: "other" }] } } } };
  const refused = await fixture.cluster.admin.patch(job, image, "strategic-merge");

  await core.until("labels", ({ phase }) => phase === "active");
  const { metadata } = must(await fixture.cluster.admin.get(pod));
  await requestCancel(core.as, "labels");
  await core.until("labels", ({ phase }) => phase !== "active");
  core.skip(GIVEN_BACK_MS);
  const end = await core.until("labels", ({ phase }) => phase === "cancelled");

  expect(refused.status).toBe(422);
  expect(metadata.deletionTimestamp).toBeUndefined();
  expect(end.reason).toBe("Cancelled by its owner");
  expect(await leftovers(fixture.cluster.admin, namespace)).toEqual([]);
});
