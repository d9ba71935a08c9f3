import { cpSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { describeNetwork } from "#local/cluster/cluster-network.ts";
import { must } from "#tests/cluster/objects.ts";
import { isOver, jobClient } from "#tests/e2e/job-client.ts";
import { openStackFixture, type StackFixture, type StackProcess } from "#tests/e2e/stack-fixture.ts";
import { type ClusterFixture, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import type { KubeObject } from "../objects.ts";

let cluster: ClusterFixture;
let fixture: StackFixture;

beforeAll(async () => {
  cluster = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }]);
});

afterAll(() => cluster.stop());

beforeEach(() => {
  fixture = openStackFixture("berth-on-cluster-");
});

afterEach(() => fixture.close());

const getKubeconfig = (user: string) => join(cluster.cluster.controlPlane.home, `${user}.kubeconfig`);
const start = (user = "berth") =>
  fixture.start({ COMPUTE: "kubernetes", KUBECONFIG: getKubeconfig(user), SWEEP_SECONDS: "1" });

async function getClient(stack: StackProcess) {
  return jobClient(stack.url, (await stack.env()).API_KEY ?? "");
}

/** Names of the environments of all Jobs but tombstones, which lack the labels of a run. */
async function jobsThere(): Promise<string[]> {
  const path = `/apis/batch/v1/namespaces/${namespace}/jobs?labelSelector=berth/uid`;
  const { items } = must(await cluster.cluster.admin.get<{ items: KubeObject[] }>(path));
  return items.map(({ metadata }) => metadata.annotations?.["berth/name"] ?? "");
}

async function claimPhases() {
  const path = `/api/v1/namespaces/${namespace}/persistentvolumeclaims`;
  const { items } = must(await cluster.cluster.admin.get<{ items: { status: { phase: string } }[] }>(path));
  return items.map(({ status }) => status.phase);
}

/** A node that was briefly not ready is listed again after a minute. */
const PATIENCE_MS = 180_000;

const lives = "echo in a pod; while :; do sleep 1; done";
const wanted = { instance_type: "p5.48xlarge", gpu_count: 2, name: "train", command: lives };

describe("the embedded stack on a cluster", { timeout: 3 * PATIENCE_MS }, () => {
  it("runs a job there, shows its log, and leaves nothing after a cancel", async () => {
    const stack = await start();
    const { API_KEY = "" } = await stack.env();
    const client = jobClient(stack.url, API_KEY);
    const getLog = async (id: string) => {
      const headers = { authorization: `Bearer ${API_KEY}`, accept: "text/plain" };
      return (await fetch(`${stack.url}/v1/jobs/${id}/logs`, { headers })).text();
    };

    const id = await client.submit(wanted);
    const active = await client.until(id, ({ status }) => ["active", "failed"].includes(status), PATIENCE_MS);
    const during = await jobsThere();
    const log = await cluster.eventually(
      () => getLog(id),
      (text) => text.includes("in a pod"),
    );
    await client.cancel(id);
    const over = await client.until(id, isOver, PATIENCE_MS);

    expect(active).toMatchObject({ status: "active", status_reason: null, isolation: "pod" });
    expect(during).toEqual(["train"]);
    expect(log).toBe("in a pod\n");
    expect(over.status).toBe("cancelled");
    expect(await jobsThere()).toEqual([]);
    // The plan behind this answer may be from before the end.
    await expect.poll(async () => (await client.availability()).h100).toMatchObject({ total: 8, in_use: 0 });
    expect(stack.output()).toContain("nodes        p5.48xlarge=1");
    expect(stack.output()).toContain("lacking      disks: the cluster has no default storage class");
    expect(stack.output()).toContain("Ctrl-C ends it; environments go on");
  });

  it("shows most lines of a followed log in separate answers, although copies are made every 2 s", async () => {
    const stack = await start();
    const { API_KEY = "" } = await stack.env();
    const headers = { authorization: `Bearer ${API_KEY}` };
    const client = jobClient(stack.url, API_KEY);
    const command = "for n in 1 2 3 4 5 6 7 8 9 10; do echo $n; sleep 0.7; done";
    const id = await client.submit({ ...wanted, command });
    const pieces: string[] = [];
    for (let log = { logs: "", next: "0", ended: false }; !log.ended; ) {
      const response = await fetch(`${stack.url}/v1/jobs/${id}/logs?after=${log.next}&wait=20`, { headers });
      log = (await response.json()) as typeof log;
      if (log.logs !== "") pieces.push(log.logs);
    }

    expect(pieces.join("")).toBe("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
    expect(pieces.length).toBeGreaterThan(5);
  });

  it("leaves environments to the cluster when it stops, finds them again, and keeps their disks", async () => {
    const metadata = { annotations: { "storageclass.kubernetes.io/is-default-class": "true" } };
    must(await cluster.cluster.admin.patch("/apis/storage.k8s.io/v1/storageclasses/berth-gp3", { metadata }));
    const first = await start();
    const before = await getClient(first);
    const id = await before.submit({ ...wanted, disk_name: "data" });
    await before.until(id, ({ status }) => status === "active", PATIENCE_MS);

    const code = await first.kill("SIGTERM");
    const between = await jobsThere();
    const after = await getClient(await start());
    const found = await after.get(id);
    await after.cancel(id);
    await after.until(id, isOver, PATIENCE_MS);

    expect([code, between, found.status]).toEqual([0, ["train"], "active"]);
    expect(await jobsThere()).toEqual([]);
    expect(first.output()).not.toContain("storage class");
    expect(first.output()).toContain("backups: no VolumeSnapshotClass is for ebs.csi.aws.com; a disk keeps its volume");
    expect([(await after.findDisk("data"))?.disk_name, await claimPhases()]).toEqual(["data", ["Bound"]]);
  });

  it("drives a home once: a copy of it is refused until the first one has stopped", async () => {
    const first = await start();
    const copy = openStackFixture("berth-copy-");
    cpSync(fixture.home, copy.home, { recursive: true, filter: (file) => !lstatSync(file).isSocket() });
    const settings = { COMPUTE: "kubernetes", KUBECONFIG: getKubeconfig("berth") };

    const refused = await copy.start(settings).catch((error: Error) => error.message);
    await first.kill("SIGKILL");
    const again = await start();
    await again.kill("SIGTERM");
    const second = await copy.start(settings);
    await second.kill("SIGTERM");
    await copy.close();

    expect(refused).toMatch(
      /Another stack \(.*:\S+berth-on-cluster-\w+\) drives the environments of \S+berth-copy-\w+/,
    );
    expect(refused).toContain("set BERTH_HOME to an empty directory");
  });

  it("reports the missing limits of a namespace without policies", async () => {
    const policy = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies/environments`;
    const before = await describeNetwork(cluster.client, namespace);
    must(await cluster.cluster.admin.remove(policy));

    const stack = await start();

    expect(before).toEqual([]);
    expect(stack.output()).toContain(
      "network: no policy limits what reaches environments: run `npm run cluster:apply`",
    );
    expect(stack.output()).toContain("network: no policy limits what environments reach, each other and the cluster");
  });

  it("refuses to start without rights or without a kubeconfig, and says why", async () => {
    await expect(start("nobody")).rejects.toThrow(
      /may not get namespaces in berth-environments, .*npm run cluster:apply/s,
    );
    await expect(fixture.start({ COMPUTE: "kubernetes", KUBECONFIG: "" })).rejects.toThrow(
      "KUBECONFIG must name a file",
    );
  });
});
