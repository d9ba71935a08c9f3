import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { KubeObject } from "./client.ts";
import { type Cluster, seen, startCluster } from "./cluster.ts";
import type { Pod } from "./kubelet/pod.ts";
import { endsWith, getJobs, getPods, type Job, makeJob, makeNamespace, must, podsOfJob } from "./objects.ts";
import { exec } from "./stream-client.ts";

interface Node extends KubeObject {
  readonly status: {
    readonly allocatable: Readonly<Record<string, string>>;
    readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
  };
}

const isReady = (status: string) => (node: Node) =>
  node.status.conditions.some((condition) => condition.type === "Ready" && condition.status === status);
/** Tolerations of one second. A cluster's default is five minutes. */
const leavesSoon = {
  tolerations: [
    { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 1 },
  ],
};
const staysLong = { tolerations: [{ operator: "Exists" }] };
let cluster: Cluster;

afterEach(() => cluster.stop());

describe("a lost node", () => {
  it("is not ready, loses its pods after their toleration, and does not answer", async () => {
    cluster = await startCluster();
    const namespace = await makeNamespace(cluster.admin, "lost");
    // If all nodes of a zone are lost, the controllers evict nothing.
    const [node] = await cluster.addNodes(
      ["shared", "other", "third"].map((name) => ({ name, instanceType: "m7i.8xlarge" })),
    );
    await makeJob(cluster.admin, namespace, "work", { pod: { ...leavesSoon, nodeName: "shared" } });
    const { metadata } = await seen<Pod>(cluster.admin, podsOfJob(namespace, "work"), isRunning);

    node?.lose();
    const lost = await seen<Node>(cluster.admin, "/api/v1/nodes", isReady("Unknown"));
    const leaving = await seen<Pod>(
      cluster.admin,
      podsOfJob(namespace, "work"),
      (pod) => pod.metadata.deletionTimestamp !== undefined,
    );
    const unreached = await exec(cluster.admin, { namespace, pod: metadata.name, command: ["true"] });
    await node?.recover();
    await seen<Job>(cluster.admin, getJobs(namespace), ({ status }) => status.failed === 1);

    expect(lost.status.conditions).toContainEqual(
      expect.objectContaining({ type: "Ready", reason: "NodeStatusUnknown" }),
    );
    expect(unreached.status).toMatchObject({ status: "Failure", reason: "InternalError" });
    // A run whose end was not observed counts as running.
    expect(leaving.status).toMatchObject({
      phase: "Running",
      conditions: expect.arrayContaining([
        expect.objectContaining({ type: "DisruptionTarget", reason: "DeletionByTaintManager" }),
      ]),
    });
  });

  it("reports on its return the pods that ended meanwhile", async () => {
    cluster = await startCluster();
    const namespace = await makeNamespace(cluster.admin, "back");
    const [node] = await cluster.addNodes([{ name: "shared", instanceType: "m7i.8xlarge" }]);
    const file = join(cluster.controlPlane.home, "ends");
    await makeJob(cluster.admin, namespace, "work", {
      pod: staysLong,
      script: { main: { process: true } },
      container: endsWith(7, file),
    });
    await seen<Pod>(cluster.admin, podsOfJob(namespace, "work"), isRunning);

    node?.lose();
    await writeFile(file, "");
    await seen<Node>(cluster.admin, "/api/v1/nodes", isReady("Unknown"));
    const meanwhile = await seen<Pod>(cluster.admin, getPods(namespace), () => true);
    await node?.recover();
    const ended = await seen<Pod>(cluster.admin, getPods(namespace), ({ status }) => status.phase === "Failed");

    expect(meanwhile.status.phase).toBe("Running");
    expect(ended.status).toMatchObject({ containerStatuses: [{ state: { terminated: { exitCode: 7 } } }] });
  });

  it("reports that it is ready until the API server shows it", async () => {
    cluster = await startCluster();
    await cluster.addNodes([{ name: "shared", instanceType: "m7i.8xlarge" }]);
    await seen<Node>(cluster.admin, "/api/v1/nodes", isReady("True"));
    const conditions = [{ type: "Ready", status: "Unknown", reason: "NodeStatusUnknown" }];

    // The controllers do this if they read a lease late.
    must(await cluster.admin.patch("/api/v1/nodes/shared/status", { status: { conditions } }, "strategic-merge"));
    const again = await seen<Node>(cluster.admin, "/api/v1/nodes", isReady("True"));

    expect(again.metadata.name).toBe("shared");
  });

  it("is removed with its object", async () => {
    cluster = await startCluster();
    const [node] = await cluster.addNodes([{ name: "shared", instanceType: "m7i.8xlarge" }]);

    await node?.remove();

    expect((await cluster.admin.get("/api/v1/nodes/shared")).status).toBe(404);
  });
});

describe("a thousand nodes", () => {
  it("are ready, are listed in pages, and run pods", async () => {
    cluster = await startCluster({ nodeGraceSeconds: 40 });
    const namespace = await makeNamespace(cluster.admin, "many");
    const zones = ["us-east-1a", "us-east-1b", "us-east-1c"];
    await cluster.addNodes(
      Array.from({ length: 1000 }, (_, at) => ({
        name: `gpu-${at}`,
        instanceType: "p5.48xlarge",
        zone: zones[at % 3] ?? "",
      })),
    );

    await makeJob(cluster.admin, namespace, "pinned", {
      gpus: 8,
      pod: { nodeSelector: { "kubernetes.io/hostname": "gpu-777" } },
    });
    await makeJob(cluster.admin, namespace, "wide", {
      gpus: 8,
      spec: { completionMode: "Indexed", completions: 200, parallelism: 200 },
      script: { main: { exitCode: 0, afterMs: 100 } },
    });
    const pinned = await seen<Pod>(cluster.admin, podsOfJob(namespace, "pinned"), isRunning);
    await seen<Job>(cluster.admin, getJobs(namespace), ({ status }) => status.succeeded === 200);
    const nodes = await listPages<Node>("/api/v1/nodes");

    expect(pinned.spec.nodeName).toBe("gpu-777");
    expect(nodes.pages).toBe(4);
    expect(nodes.items.filter(isReady("True"))).toHaveLength(1000);
    expect(nodes.items[0]?.status.allocatable).toMatchObject({ "nvidia.com/gpu": "8", cpu: "192", memory: "2Ti" });
  });
});

function isRunning({ status }: Pod): boolean {
  return status.phase === "Running";
}

async function listPages<Item>(path: string): Promise<{ pages: number; items: Item[] }> {
  const items: Item[] = [];
  let pages = 0;
  let next: string | undefined = "";
  while (next !== undefined) {
    const query: string = `limit=250&continue=${encodeURIComponent(next)}`;
    const { metadata, items: page } = must(
      await cluster.admin.get<{ metadata: { continue?: string }; items: Item[] }>(`${path}?${query}`),
    );
    items.push(...page);
    pages += 1;
    next = metadata.continue;
  }
  return { pages, items };
}
