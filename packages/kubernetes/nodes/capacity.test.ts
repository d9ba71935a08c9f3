import { afterEach, describe, expect, it } from "vitest";
import type { ComputeNode } from "#core/ports/compute.ts";
import { type ApiClient, apiClient } from "../client/api-client.ts";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "../fixtures/loopback-fixture.ts";
import { buildPaths } from "../paths.ts";
import { listNamedNodes, listNodes } from "./capacity.ts";
import type { NodeTypeRule } from "./node-type.ts";

const uid = "a".repeat(32);
let server: LoopbackServer;
let client: ApiClient;
/** Returns the kept part of all listed pods. */
let kept: unknown[];

afterEach(async () => {
  client.close();
  await server.close();
});

/** Returns the listing of a cluster with these nodes and pods. */
async function listed(
  nodes: readonly object[],
  pods: readonly object[] = [],
  nodeTypes: readonly NodeTypeRule[] = [],
  isExpired: (query: URLSearchParams) => boolean = () => false,
  enough?: AbortSignal,
) {
  server = await loopbackServer((request, response) => {
    const query = new URLSearchParams(request.url?.split("?")[1]);
    const [, nodeName] = /^spec\.nodeName=([^,]+),/.exec(query.get("fieldSelector") ?? "") ?? [];
    const ofNode = (pod: object) => nodeName === undefined || (pod as Placed).spec.nodeName === nodeName;
    const items = request.url?.startsWith("/api/v1/nodes?") ? nodes : pods.filter(ofNode);
    if (isExpired(query)) return refuse(response, 410, "Expired");
    const [from, limit] = [Number(query.get("continue")), Number(query.get("limit") ?? 10_000)];
    const next = from + limit < items.length ? { continue: String(from + limit) } : {};
    answerJson(response, { metadata: { resourceVersion: "1", ...next }, items: items.slice(from, from + limit) });
  });
  client = apiClient(server.access);
  kept = [];
  const list: ApiClient["list"] = async (path, keep, options) => {
    const found = await client.list(path, keep, options);
    kept.push(...found.items);
    return found;
  };
  return listNodes(
    { client: { ...client, list }, paths: buildPaths("environments"), deployment: "one" },
    { nodeTypes, ...(enough && { enough }) },
  );
}

interface Placed {
  readonly spec: { readonly nodeName: string };
}

interface Shape {
  readonly type?: string;
  readonly allocatable?: object;
  readonly spec?: object;
  readonly ready?: string;
}

const getNode = (name: string, { type = "p5.48xlarge", allocatable, spec = {}, ready = "True" }: Shape = {}) => ({
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
  namespace: "environments",
  labels: { "berth/deployment": "one", "berth/uid": uid, "berth/run": "2" },
  ownerReferences: [{ kind: "Job", name: `${uid}-r2`, uid: "job" }],
};

describe("the nodes of a cluster", () => {
  it("are read without most of the kubelet's status, which is tens of kB each", async () => {
    const images = Array.from({ length: 50 }, (_, at) => ({ names: [`registry.example/image-${at}`], sizeBytes: at }));
    const node = getNode("a");

    const nodes = await listed([{ ...node, status: { ...node.status, images } }]);

    expect(nodes).toMatchObject([{ name: "a", units: 8 }]);
    expect(kept).toHaveLength(1);
    expect(JSON.stringify(kept)).not.toContain("registry.example");
  });

  it("count runs of another control plane as foreign", async () => {
    const theirs = { ...ours, labels: { ...ours.labels, "berth/deployment": "two" } };

    const [node] = await listed([getNode("a")], [podOn("a", { "nvidia.com/gpu": "2" }, theirs)]);

    expect(node).toMatchObject({ foreignUnits: 2, runs: [] });
  });

  it("count pods of another namespace as foreign, whatever labels and owner they have", async () => {
    const [node] = await listed(
      [getNode("a")],
      [podOn("a", { "nvidia.com/gpu": "2" }, { ...ours, namespace: "team" })],
    );

    expect(node).toMatchObject({ foreignUnits: 2, runs: [] });
  });

  it.each([
    [["aws-node-termination-handler/spot-itn"], "spot"],
    [["aws-node-termination-handler/rebalance-recommendation"], "rebalance"],
    [["aws-node-termination-handler/rebalance-recommendation", "aws-node-termination-handler/spot-itn"], "spot"],
    [["karpenter.sh/disrupted"], "removal"],
    [["example.com/karpenter.sh/disrupted", "constructor"], undefined],
  ])("with the taints %s are closed, and listed as taken back: %s", async (keys, interruption) => {
    const taints = keys.map((key) => ({ key, effect: "NoSchedule" }));

    const [node] = await listed([getNode("a", { spec: { taints } })]);

    expect(node).toMatchObject({ ready: false, unready: "tainted" });
    expect(node?.interruption).toBe(interruption);
  });

  it("are listed with their units, the foreign ones and their runs", async () => {
    const pods = [
      podOn("a", { "nvidia.com/gpu": "2" }, ours),
      podOn("a", { "nvidia.com/gpu": "3", cpu: "4" }),
      podOn("b", { "nvidia.com/gpu": "8" }),
    ];

    expect(await listed([getNode("a"), getNode("c")], pods)).toEqual([
      {
        name: "a",
        uid: "uid-a",
        providerId: "aws:///us-east-1a/a",
        instanceType: "p5.48xlarge",
        zone: "us-east-1a",
        ready: true,
        units: 8,
        foreignUnits: 3,
        runs: [{ uid, run: 2, units: 2, mark: expect.any(String) }],
      },
      expect.objectContaining({ name: "c", foreignUnits: 0, runs: [] }),
    ]);
  });

  it("name their managed node group of EKS by its label", async () => {
    const node = getNode("a");
    const labels = { ...node.metadata.labels, "eks.amazonaws.com/nodegroup": "p5-a" };

    const nodes = await listed([{ ...node, metadata: { ...node.metadata, labels } }, getNode("b")]);

    expect(nodes.map(({ name, group }) => [name, group])).toEqual([
      ["a", "p5-a"],
      ["b", undefined],
    ]);
  });

  it("take three requests each minute for a thousand environments and as many foreign pods", async () => {
    const nodes = Array.from({ length: 125 }, (_, at) => getNode(`n${at}`));
    const pods = nodes.flatMap(({ metadata: { name } }) =>
      Array.from({ length: 16 }, (_, at) => podOn(name, { "nvidia.com/gpu": "1" }, at < 8 ? ours : {})),
    );

    await listed(nodes, pods);

    expect(server.requests).toHaveLength(3);
  });

  it("keep one sum of foreign pods for each node, across any number of pages", async () => {
    const nodes = [getNode("a"), getNode("b")];
    const pods = Array.from({ length: 9_000 }, (_, at) =>
      podOn(at % 3 === 0 ? "a" : "b", { cpu: "10m", memory: "10Mi" }),
    );

    const listedNodes = await listed(nodes, [...pods, podOn("a", { "nvidia.com/gpu": "2" }, ours)]);

    expect(server.requests.length).toBeGreaterThan(3);
    // Two nodes, two sums and a run.
    expect(kept).toHaveLength(5);
    // 6,000 pods take 60 of 191 processors, and eight GPUs with their share need 172.8.
    expect(listedNodes.map(({ name, foreignUnits, runs }) => [name, foreignUnits, runs?.length])).toEqual([
      ["a", 1, 1],
      ["b", 2, 0],
    ]);
  });

  it("count no pod twice if a list starts over because its pages expired", async () => {
    let expired = 0;
    const expire = (query: URLSearchParams) => query.has("continue") && expired++ === 0;
    const pods = Array.from({ length: 1_500 }, () => podOn("a", { cpu: "100m" }));

    expect(await listed([getNode("a")], pods, [], expire)).toMatchObject([{ foreignUnits: 7 }]);

    expect(expired).toBeGreaterThan(1);
  });

  it("are read from pods of all namespaces that are on a node and not over", async () => {
    await listed([]);

    const [pods] = server.requests.filter(({ url }) => url.startsWith("/api/v1/pods?"));
    expect(new URLSearchParams(pods?.url.split("?")[1]).get("fieldSelector")).toBe(
      "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed",
    );
  });

  it("omit nodes of a type that Berth does not know", async () => {
    expect(await listed([getNode("a", { type: "t3.micro" }), { metadata: { name: "b", uid: "b" }, spec: {} }])).toEqual(
      [],
    );
  });

  it("omit nodes without the labels that the pods of runs select", async () => {
    const withLabels = (name: string, labels: object) => {
      const { metadata, ...node } = getNode(name);
      return { ...node, metadata: { ...metadata, labels: { ...metadata.labels, ...labels } } };
    };
    const all = await listed([withLabels("ours", { pool: "a" }), withLabels("theirs", { pool: "b" }), getNode("bare")]);
    const place = { client, paths: buildPaths("environments"), deployment: "one" };

    const selected = await listNodes(place, { nodeSelector: { pool: "a" } });

    expect(all.map(({ name }) => name)).toEqual(["ours", "theirs", "bare"]);
    expect(selected.map(({ name }) => name)).toEqual(["ours"]);
  });

  it.each<[string, Shape, ComputeNode["unready"]]>([
    ["not ready", { ready: "False" }, "notReady"],
    ["not heard of", { ready: "Unknown" }, "notReady"],
    ["cordoned", { spec: { unschedulable: true } }, "cordoned"],
    ["kept for others", { spec: { taints: [{ key: "team", value: "x", effect: "NoSchedule" }] } }, "tainted"],
    ["closed to GPU jobs that run", { spec: { taints: [{ key: "nvidia.com/gpu", effect: "NoExecute" }] } }, "tainted"],
    ["being drained", { spec: { taints: [{ key: "x", effect: "NoExecute" }] } }, "tainted"],
    [
      "cordoned, which the cluster marks with a taint",
      { spec: { unschedulable: true, taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }] } },
      "cordoned",
    ],
    [
      "not ready and cordoned",
      { ready: "Unknown", spec: { unschedulable: true, taints: [{ key: "x", effect: "NoExecute" }] } },
      "notReady",
    ],
  ])("are not offered while they are %s, and say why", async (_, shape, unready) => {
    expect(await listed([getNode("a", shape)])).toMatchObject([{ name: "a", ready: false, unready }]);
  });

  it.each([
    ["AcceleratedHardwareReady", "NvidiaXID79Error", "AcceleratedHardwareReady is False: NvidiaXID79Error"],
    ["StorageReady", undefined, "StorageReady is False"],
    ["NetworkingReady", "IPAMDNotRunning", "NetworkingReady is False: IPAMDNotRunning"],
    ["KernelReady", "ForkFailedOutOfPIDs", "KernelReady is False: ForkFailedOutOfPIDs"],
    ["ContainerRuntimeReady", "PodStuckTerminating", "ContainerRuntimeReady is False: PodStuckTerminating"],
    [
      "StorageReady",
      `\u001b[2J\n\u202e\u{1F600}${"x".repeat(1_000_000)}`,
      `StorageReady is False: ?[2J????${"x".repeat(169)}`,
    ],
  ])("are not offered while EKS's monitoring agent reports that %s is False", async (type, reason, fault) => {
    const reported = (status: string) => {
      const node = getNode(status);
      const conditions = [...node.status.conditions, { type, status, reason, message: "at 12:00:01" }];
      return { ...node, status: { ...node.status, conditions } };
    };

    const nodes = await listed([reported("False"), reported("True"), reported("Unknown")]);

    expect(nodes.map((node) => [node.ready, node.unready, node.fault])).toEqual([
      [false, "notReady", fault],
      [true, undefined, undefined],
      [true, undefined, undefined],
    ]);
  });

  it("are offered with the GPU taint, and with an advisory one", async () => {
    const taints = [
      { key: "nvidia.com/gpu", effect: "NoSchedule" },
      { key: "x", effect: "PreferNoSchedule" },
    ];

    expect(await listed([getNode("a", { spec: { taints } })])).toMatchObject([{ ready: true }]);
  });

  it("offer the kubelet's GPUs, at most those of a machine of their type", async () => {
    const withGpus = (count: string) => ({ allocatable: { cpu: "192", memory: "2000Gi", "nvidia.com/gpu": count } });

    const nodes = await listed([
      getNode("a", withGpus("7")),
      getNode("b", withGpus("64")),
      getNode("c", { allocatable: {} }),
    ]);

    expect(nodes.map(({ units }) => units)).toEqual([7, 8, 0]);
  });

  it("offer no more GPUs than fit with their share of processors and memory beside foreign pods", async () => {
    const small = { allocatable: { cpu: "64", memory: "2000Gi", "nvidia.com/gpu": "8" } };
    const pods = [podOn("b", { cpu: "100" }), podOn("c", { memory: "1200Gi" }), podOn("d", { cpu: "300m" })];

    const nodes = await listed([getNode("a", small), getNode("b"), getNode("c"), getNode("d")], pods);

    // A p5.48xlarge has 192 processors and 2,048 GB: nine tenths of an eighth are 21.6 and 230.4.
    expect(nodes.map(({ units, foreignUnits }) => [units, foreignUnits])).toEqual([
      [2, 0],
      [8, 4],
      [8, 5],
      [8, 0],
    ]);
  });

  it("have the type of the first matching rule if their own label names none", async () => {
    const labelled = (name: string, labels: object) => ({
      ...getNode(name),
      metadata: { name, uid: `uid-${name}`, labels },
    });
    const rules = [
      { label: "gpu.vendor/model", value: "h100", instanceType: "p5.48xlarge" },
      { label: "box", value: null, instanceType: "m7i.8xlarge" },
    ];
    const nodes = [
      labelled("a", { "gpu.vendor/model": "h100", box: "" }),
      labelled("b", { "node.kubernetes.io/instance-type": "k3s", box: "left" }),
      labelled("c", { "node.kubernetes.io/instance-type": "p4d.24xlarge", "gpu.vendor/model": "h100" }),
      labelled("d", { "gpu.vendor/model": "a100" }),
    ];

    expect((await listed(nodes, [], rules)).map(({ name, instanceType, zone }) => [name, instanceType, zone])).toEqual([
      ["a", "p5.48xlarge", "no-zone"],
      ["b", "m7i.8xlarge", "no-zone"],
      ["c", "p4d.24xlarge", "no-zone"],
    ]);
  });

  it("share the rest of a shared machine by vCPU, each with 4 GB", async () => {
    const shared = { type: "m7i.8xlarge", allocatable: { cpu: "31850m", memory: "121Gi" } };
    const pods = [
      podOn("a", { cpu: "300m", memory: "500Mi" }),
      podOn("b", { cpu: "1", memory: "40Gi" }),
      podOn("b", { cpu: "1500m", memory: "4Gi" }, ours),
    ];

    expect(await listed([getNode("a", shared), getNode("b", shared), getNode("c", shared)], pods)).toMatchObject([
      { name: "a", units: 30, foreignUnits: 0 },
      { name: "b", units: 30, foreignUnits: 10, runs: [{ uid, units: 2 }] },
      { name: "c", units: 30, foreignUnits: 0 },
    ]);
  });

  it("offer a machine without GPUs whole, and not while foreign pods leave too little of it", async () => {
    const whole = { type: "c7i.8xlarge", allocatable: { cpu: "31850m", memory: "58Gi" } };
    const pods = [
      podOn("a", { cpu: "300m", memory: "300Mi" }),
      podOn("b", { cpu: "300m", memory: "1Gi" }),
      podOn("c", { cpu: "28", memory: "50Gi" }, ours),
    ];

    expect(await listed([getNode("a", whole), getNode("b", whole), getNode("c", whole)], pods)).toMatchObject([
      { name: "a", units: 1, foreignUnits: 0, runs: [] },
      { name: "b", units: 1, foreignUnits: 1 },
      { name: "c", units: 1, foreignUnits: 0, runs: [{ uid, units: 1 }] },
    ]);
  });
});

describe("single nodes of a cluster", () => {
  it("are read by name, with their pods of this moment, as a listing of all shows them", async () => {
    const nodes = [getNode("a"), getNode("b"), getNode("c", { type: "t3.micro" })];
    const pods = [podOn("a", { "nvidia.com/gpu": "3" }), podOn("a", { "nvidia.com/gpu": "2" }, ours)];
    const all = await listed(nodes, pods);
    const place = { client, paths: buildPaths("environments"), deployment: "one" };
    client.close();
    await server.close();
    server = await loopbackServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://any");
      if (pathname === "/api/v1/pods") {
        const [, name] = /^spec\.nodeName=([^,]+),/.exec(searchParams.get("fieldSelector") ?? "") ?? [];
        return answerJson(response, { items: pods.filter(({ spec }) => spec.nodeName === name) });
      }
      const node = nodes.find(({ metadata }) => pathname === `/api/v1/nodes/${metadata.name}`);
      return node ? answerJson(response, node) : refuse(response, 404, "NotFound");
    });
    client = apiClient(server.access);

    const named = await listNamedNodes({ ...place, client }, new Set(["a", "c", "deleted"]));

    const podQueries = server.requests.flatMap(({ url = "" }) => (url.startsWith("/api/v1/pods") ? url : []));
    expect(named).toEqual(all.filter(({ name }) => name === "a"));
    expect(server.requests).toHaveLength(4);
    // Without a version the API server reads the pods of this moment, and without a limit only those of the node.
    expect(podQueries).toEqual([expect.not.stringMatching(/resourceVersion|limit/)]);
  });
});

describe("the nodes of a cluster of more than a thousand", () => {
  const others = Array.from({ length: 1_000 }, (_, at) => getNode(`other-${at}`, { type: "t3.micro" }));

  it("are listed as in a smaller one, from lists of the pods of each node of a known type", async () => {
    const nodes = [getNode("a"), getNode("b")];
    const pods = [
      podOn("a", { "nvidia.com/gpu": "3" }),
      podOn("a", { "nvidia.com/gpu": "2" }, ours),
      podOn("other-1", { cpu: "1" }),
    ];

    const large = await listed([...others, ...nodes], pods);

    const queries = server.requests.map(({ url }) => new URL(url, server.access.url).searchParams);
    expect(large).toMatchObject([
      { name: "a", foreignUnits: 3, runs: [{ uid, run: 2, units: 2 }] },
      { name: "b", foreignUnits: 0, runs: [] },
    ]);
    expect(queries.flatMap((query) => query.get("fieldSelector")?.split(",")[0] ?? []).sort()).toEqual([
      "spec.nodeName=a",
      "spec.nodeName=b",
    ]);
    // At least as new as the list of nodes, and without a limit, which older API servers answer from etcd.
    expect(queries.slice(2).map((query) => [query.get("resourceVersion"), query.has("limit")])).toEqual([
      ["1", false],
      ["1", false],
    ]);
    client.close();
    await server.close();
    expect(await listed(nodes, pods)).toEqual(large);
  });

  it("count as foreign if their pods are not read in time", async () => {
    const enough = AbortSignal.abort();

    const nodes = await listed([...others, getNode("a")], [podOn("a", {}, ours)], [], undefined, enough);

    expect(nodes).toMatchObject([{ name: "a", units: 8, foreignUnits: 8, unread: true }]);
    expect(nodes[0]).not.toHaveProperty("runs");
  });

  it("fail if no list of pods is answered", async () => {
    const refused = listed([...others, getNode("a")], [], [], (query) => query.has("resourceVersion"));

    await expect(refused).rejects.toMatchObject({ status: 410 });
  });
});
