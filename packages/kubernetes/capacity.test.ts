import { afterEach, describe, expect, it } from "vitest";
import { type ApiClient, apiClient } from "./api-client.ts";
import { listNodes } from "./capacity.ts";
import { answerJson, type LoopbackServer, loopbackServer } from "./loopback-trial.ts";

const uid = "a".repeat(32);
let server: LoopbackServer;
let client: ApiClient;
/** What is kept of all that was listed. */
let kept: unknown[];

afterEach(async () => {
  client.close();
  await server.close();
});

/** What is listed of a cluster with these nodes and pods. */
async function listed(nodes: readonly object[], pods: readonly object[] = []) {
  server = await loopbackServer((request, response) => {
    const items = request.url?.startsWith("/api/v1/nodes?") ? nodes : pods;
    answerJson(response, { metadata: { resourceVersion: "1" }, items });
  });
  client = apiClient(server.access);
  kept = [];
  const list: ApiClient["list"] = async (path, keep) => {
    const found = await client.list(path, keep);
    kept.push(...found.items);
    return found;
  };
  return listNodes({ client: { ...client, list }, deployment: "one" });
}

interface Shape {
  readonly type?: string;
  readonly allocatable?: object;
  readonly spec?: object;
  readonly ready?: string;
}

const nodeOf = (name: string, { type = "p5.48xlarge", allocatable, spec = {}, ready = "True" }: Shape = {}) => ({
  metadata: {
    name,
    uid: `uid-${name}`,
    labels: { "node.kubernetes.io/instance-type": type, "topology.kubernetes.io/zone": "us-east-1a" },
  },
  spec: { providerID: `aws:///us-east-1a/${name}`, ...spec },
  status: {
    allocatable: allocatable ?? { cpu: "191450m", memory: "2000Gi", "nvidia.com/gpu": "8" },
    conditions: [{ type: "Ready", status: ready }],
  },
});
const podOn = (nodeName: string, requests: object, metadata: object = {}) => ({
  metadata,
  spec: { nodeName, containers: [{ name: "c", resources: { requests } }] },
});
const ours = {
  labels: { "berth/deployment": "one", "berth/uid": uid, "berth/run": "2" },
  ownerReferences: [{ kind: "Job", name: `${uid}-r2`, uid: "job" }],
};

describe("the nodes of a cluster", () => {
  it("are read without all that a kubelet says of them, which is tens of kB each", async () => {
    const images = Array.from({ length: 50 }, (_, at) => ({ names: [`registry.example/image-${at}`], sizeBytes: at }));
    const node = nodeOf("a");

    const nodes = await listed([{ ...node, status: { ...node.status, images } }]);

    expect(nodes).toMatchObject([{ name: "a", units: 8 }]);
    expect(kept).toHaveLength(1);
    expect(JSON.stringify(kept)).not.toContain("registry.example");
  });

  it("have runs of another control plane as they have what others take", async () => {
    const theirs = { ...ours, labels: { ...ours.labels, "berth/deployment": "two" } };

    const [node] = await listed([nodeOf("a")], [podOn("a", { "nvidia.com/gpu": "2" }, theirs)]);

    expect(node).toMatchObject({ foreignUnits: 2, runs: [] });
  });

  it("are told with what they offer, what others take of it and which runs are there", async () => {
    const pods = [
      podOn("a", { "nvidia.com/gpu": "2" }, ours),
      podOn("a", { "nvidia.com/gpu": "3", cpu: "4" }),
      podOn("b", { "nvidia.com/gpu": "8" }),
    ];

    expect(await listed([nodeOf("a"), nodeOf("c")], pods)).toEqual([
      {
        name: "a",
        uid: "uid-a",
        providerId: "aws:///us-east-1a/a",
        instanceType: "p5.48xlarge",
        zone: "us-east-1a",
        ready: true,
        units: 8,
        foreignUnits: 3,
        runs: [{ uid, units: 2 }],
      },
      expect.objectContaining({ name: "c", foreignUnits: 0, runs: [] }),
    ]);
  });

  it("asks for pods that are on a node and not over, of all namespaces", async () => {
    await listed([]);

    const [pods] = server.requests.filter(({ url }) => url.startsWith("/api/v1/pods?"));
    expect(new URLSearchParams(pods?.url.split("?")[1]).get("fieldSelector")).toBe(
      "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed",
    );
  });

  it("leave out what is of no type that Berth knows", async () => {
    expect(await listed([nodeOf("a", { type: "t3.micro" }), { metadata: { name: "b", uid: "b" }, spec: {} }])).toEqual(
      [],
    );
  });

  it.each<[string, Shape]>([
    ["not ready", { ready: "False" }],
    ["not heard of", { ready: "Unknown" }],
    ["cordoned", { spec: { unschedulable: true } }],
    ["kept for others", { spec: { taints: [{ key: "team", value: "x", effect: "NoSchedule" }] } }],
    ["being drained", { spec: { taints: [{ key: "x", effect: "NoExecute" }] } }],
  ])("are not offered while they are %s", async (_, shape) => {
    expect(await listed([nodeOf("a", shape)])).toMatchObject([{ name: "a", ready: false }]);
  });

  it("are offered with the taint that GPUs have, and with one that only advises", async () => {
    const taints = [
      { key: "nvidia.com/gpu", effect: "NoSchedule" },
      { key: "x", effect: "PreferNoSchedule" },
    ];

    expect(await listed([nodeOf("a", { spec: { taints } })])).toMatchObject([{ ready: true }]);
  });

  it("offer the GPUs that the kubelet does, and never more than a machine of their type has", async () => {
    const withGpus = (count: string) => ({ allocatable: { cpu: "1", memory: "1Gi", "nvidia.com/gpu": count } });

    const nodes = await listed([
      nodeOf("a", withGpus("7")),
      nodeOf("b", withGpus("64")),
      nodeOf("c", { allocatable: {} }),
    ]);

    expect(nodes.map(({ units }) => units)).toEqual([7, 8, 0]);
  });

  it("share what is left of a shared machine by vCPU, each with 4 GB", async () => {
    const shared = { type: "m7i.8xlarge", allocatable: { cpu: "31850m", memory: "121Gi" } };
    const pods = [
      podOn("a", { cpu: "300m", memory: "500Mi" }),
      podOn("b", { cpu: "1", memory: "40Gi" }),
      podOn("b", { cpu: "1500m", memory: "4Gi" }, ours),
    ];

    expect(await listed([nodeOf("a", shared), nodeOf("b", shared), nodeOf("c", shared)], pods)).toMatchObject([
      { name: "a", units: 30, foreignUnits: 0 },
      { name: "b", units: 30, foreignUnits: 10, runs: [{ uid, units: 2 }] },
      { name: "c", units: 30, foreignUnits: 0 },
    ]);
  });

  it("give a machine without GPUs whole, and not while others have much of it", async () => {
    const whole = { type: "c7i.8xlarge", allocatable: { cpu: "31850m", memory: "58Gi" } };
    const pods = [
      podOn("a", { cpu: "300m", memory: "1Gi" }),
      podOn("b", { cpu: "300m", memory: "20Gi" }),
      podOn("c", { cpu: "28", memory: "50Gi" }, ours),
    ];

    expect(await listed([nodeOf("a", whole), nodeOf("b", whole), nodeOf("c", whole)], pods)).toMatchObject([
      { name: "a", units: 1, foreignUnits: 0, runs: [] },
      { name: "b", units: 1, foreignUnits: 1 },
      { name: "c", units: 1, foreignUnits: 0, runs: [{ uid, units: 1 }] },
    ]);
  });
});
