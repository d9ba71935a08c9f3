import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Job } from "#kubernetes/objects.ts";
import { isTombstone } from "#kubernetes/runs/tombstone.ts";
import type { KubeObject } from "../cluster/client.ts";
import { applyManifests, readManifests } from "../cluster/manifests.ts";
import { must } from "../cluster/objects.ts";
import { callApi, isOver, type JobClient, jobClient } from "../e2e/job-client.ts";
import { eventually } from "../e2e/processes.ts";
import { openStackFixture } from "../e2e/stack-fixture.ts";
import { debianImage } from "./images.ts";
import { type RealCluster, startRealCluster } from "./real-cluster.ts";

/** Longer than a busy machine takes for the life of a job. */
const PATIENCE_MS = 200_000;
const stack = openStackFixture("berth-faults-");
const namespace = "/api/v1/namespaces/berth-environments";
const budgets = "/apis/policy/v1/namespaces/berth-environments/poddisruptionbudgets";
let cluster: RealCluster;
let url: string;
let key: string;
let jobs: JobClient;

beforeAll(async () => {
  cluster = await startRealCluster([{ name: "one", instanceType: "p5.48xlarge" }]);
  const manifests = await readManifests(fileURLToPath(new URL("../../deploy/kubernetes", import.meta.url)));
  await applyManifests(cluster.admin, manifests);
  const running = await stack.start({
    COMPUTE: "kubernetes",
    KUBECONFIG: join(cluster.controlPlane.home, "berth.kubeconfig"),
    SWEEP_SECONDS: "1",
    ADMIN_USERS: "developer",
  });
  url = running.url;
  key = (await running.env()).API_KEY ?? "";
  jobs = jobClient(url, key);
});

// A start that fails leaves none of them.
afterAll(async () => {
  await stack.close();
  await (cluster as RealCluster | undefined)?.stop();
});

afterEach(async () => {
  await Promise.all(
    submitted.splice(0).map(async (id) => {
      await jobs.cancel(id);
      await jobs.until(id, isOver, PATIENCE_MS);
    }),
  );
});

const call = (method: string, path: string, body?: unknown) => callApi(url, key, { method, path, body });
const submitted: string[] = [];
const submit = async (gpus = 1) => {
  const command = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
  const id = await jobs.submit({ instance_type: "p5.48xlarge", gpu_count: gpus, image: debianImage, command });
  submitted.push(id);
  return id;
};
const untilActive = (id: string) => jobs.until(id, ({ status }) => status === "active", PATIENCE_MS);

/** Why a cluster refuses a pod for a time, with words of the reason. Each returns what takes it back. */
const refusals: Readonly<Record<string, { readonly words: RegExp; make(): Promise<() => Promise<unknown>> }>> = {
  "the quota of pods is full": {
    words: /quota/,
    async make() {
      const path = `${namespace}/resourcequotas`;
      const quota = { metadata: { name: "full" }, spec: { hard: { pods: "0" } } };
      must(await cluster.admin.post(path, quota));
      await eventually(
        async () => must(await cluster.admin.get<Quota>(`${path}/full`)),
        ({ status }) => status?.hard?.pods === "0",
      );
      return () => cluster.admin.remove(`${path}/full`);
    },
  },
  "its machine is cordoned": {
    words: /no such machine takes jobs now/,
    async make() {
      must(await cluster.admin.patch("/api/v1/nodes/one", { spec: { unschedulable: true } }));
      await eventually(jobs.availability, ({ h100 }) => h100?.available === 0);
      return () => cluster.admin.patch("/api/v1/nodes/one", { spec: { unschedulable: null } });
    },
  },
  "pods of others hold its GPUs": {
    words: /pods of others hold 8/,
    async make() {
      const resources = { limits: { "nvidia.com/gpu": "8" } };
      const containers = [{ name: "main", image: debianImage, command: ["sleep", "3600"], resources }];
      const spec = { nodeName: "one", tolerations: [{ operator: "Exists" }], containers, restartPolicy: "Never" };
      const path = "/api/v1/namespaces/default/pods";
      must(await cluster.admin.post(path, { metadata: { name: "theirs" }, spec }));
      return () => cluster.admin.remove(`${path}/theirs`, { gracePeriodSeconds: 0 });
    },
  },
};

describe("a job on a real node", { timeout: 2 * PATIENCE_MS }, () => {
  it.each(Object.entries(refusals))("waits with the reason while %s, and starts after that", async (_, refusal) => {
    const takeBack = await refusal.make();
    onTestFinished(async () => void (await takeBack()));
    const id = await submit();
    await jobs.until(id, ({ status_reason }) => refusal.words.test(status_reason ?? ""), PATIENCE_MS);

    await takeBack();
    const { timeline } = await untilActive(id);

    expect(timeline.map(({ reason }) => reason)).not.toContainEqual(
      expect.stringContaining("No machine could start it"),
    );
  });

  it("gets the GPUs of one that ended young while the name of its run is still kept", async () => {
    const first = await submit(8);
    await untilActive(first);
    // Runs of earlier tests may still be listed.
    const run = (await listJobs()).find((job) => !isTombstone(job));
    const second = await submit(8);
    await jobs.until(second, ({ queue_position }) => queue_position === 1, PATIENCE_MS);

    await jobs.cancel(first);
    await untilActive(second);

    const kept = (await listJobs()).find(({ metadata }) => metadata.name === run?.metadata.name);
    expect(kept && isTombstone(kept)).toBe(true);
  });

  it("goes on over an outage of the API server with a warning, and one submitted meanwhile starts after it", async () => {
    const active = await submit();
    await untilActive(active);
    const readCluster = async () => ((await call("GET", "/health")) as { cluster: object }).cluster;

    cluster.controlPlane.pause("apiserver");
    onTestFinished(() => cluster.controlPlane.resume("apiserver"));
    const waiting = await submit();
    const warned = await jobs.until(active, ({ warning }) => warning !== null, PATIENCE_MS);
    const during = await readCluster();
    cluster.controlPlane.resume("apiserver");
    await untilActive(waiting);
    const after = await jobs.until(active, ({ warning }) => warning === null, PATIENCE_MS);

    expect(warned).toMatchObject({ status: "active", warning: expect.stringContaining("cluster") });
    expect(during).toEqual({ reachable: false, since: expect.any(String) });
    expect(await readCluster()).toMatchObject({ reachable: true });
    expect(after.status).toBe("active");
  });

  it("does not start on a machine that an operator declared gone, until that is revoked", async () => {
    await call("POST", "/v1/admin/nodes/one/gone", {});
    onTestFinished(async () => void (await call("POST", "/v1/admin/nodes/one/back", {}).catch(() => undefined)));
    const listed = await call("GET", "/v1/admin/nodes");
    const id = await submit();
    const waiting = await jobs.until(id, ({ queue_position }) => queue_position === 1, PATIENCE_MS);

    const revoked = await call("POST", "/v1/admin/nodes/one/back", {});
    await untilActive(id);

    expect(listed).toMatchObject({ nodes: [{ node: "one", status: "gone" }] });
    expect(waiting.status).toBe("queued");
    expect(revoked).toMatchObject({ node: "one", status: "back" });
  });

  it("that is evicted keeps what its command prints after SIGTERM in its log", async () => {
    const command =
      "trap 'echo saving; sleep 4; echo saved; sleep 2; exit 0' TERM; echo begun; while :; do sleep 0.1; done";
    const wanted = { instance_type: "p5.48xlarge", gpu_count: 1, image: debianImage, command };
    const id = await jobs.submit(wanted);
    await untilActive(id);
    const headers = { authorization: `Bearer ${key}`, accept: "text/plain" };
    const readLog = async () => (await fetch(`${url}/v1/jobs/${id}/logs`, { headers })).text();
    await eventually(readLog, (text) => text === "begun\n");
    const listed = must(await cluster.admin.get<{ items: KubeObject[] }>(`${namespace}/pods`));
    const running = listed.items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const name = running[0]?.metadata.name ?? "";
    // The disruption budget would refuse the eviction, as it does for `kubectl drain`.
    must(await cluster.admin.remove(`${budgets}/berth-environments`));
    const metadata = { name, namespace: "berth-environments" };
    must(
      await cluster.admin.post(`${namespace}/pods/${name}/eviction`, {
        apiVersion: "policy/v1",
        kind: "Eviction",
        metadata,
      }),
    );

    const over = await jobs.until(id, isOver, PATIENCE_MS);

    expect(running).toHaveLength(1);
    expect(over).toMatchObject({ status: "failed", status_reason: "it was evicted from its machine" });
    expect(await readLog()).toBe("begun\nsaving\nsaved\n");
  });
});

/** Lists the Jobs of runs, with their numbers of pods wanted. */
async function listJobs(): Promise<readonly Job[]> {
  const path = "/apis/batch/v1/namespaces/berth-environments/jobs";
  return must(await cluster.admin.get<{ items: readonly Job[] }>(path)).items;
}

interface Quota {
  readonly status?: { readonly hard?: { readonly pods?: string } };
}
