import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import type { ChangedNodes } from "#core/ports/changed-nodes.ts";
import { type ApiClient, apiClient } from "../client/api-client.ts";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "../fixtures/loopback-fixture.ts";
import { buildPaths } from "../paths.ts";
import { followForeignPods } from "./foreign-pods.ts";
import { followNodes, type OfferedNodes, offeredNodes } from "./node-changes.ts";

let server: LoopbackServer;
let client: ApiClient;

afterEach(async () => {
  client.close();
  await server.close();
});

type Event = readonly [type: string, object: object];

/** Server with these nodes and no pods. `refuses` decides the status of each request, 0 to answer it. */
async function opened(nodes: readonly object[] = [], refuses: (url: string) => number = () => 0) {
  let watch = Promise.withResolvers<ServerResponse>();
  server = await loopbackServer((request, response) => {
    const { url = "" } = request;
    const status = refuses(url);
    if (status === 403) return refuse(response, 403, "Forbidden", 'User "berth" cannot watch resource "pods"');
    if (status > 0) return refuse(response, status, "Expired");
    if (!url.includes("watch=1")) {
      const items = url.startsWith("/api/v1/nodes?") ? nodes : [];
      return answerJson(response, { metadata: { resourceVersion: "5" }, items });
    }
    response.writeHead(200).flushHeaders();
    watch.resolve(response);
  });
  client = apiClient(server.access);
  const ending = new AbortController();
  const logged: unknown[] = [];
  const log = { warn: (event: string, fields?: object) => void logged.push([event, fields]) };
  const seen: ChangedNodes[] = [];
  const nodesChanged = (nodes: ChangedNodes) => void seen.push(nodes);
  return {
    place: { client, paths: buildPaths("environments"), deployment: "one", log },
    following: { signal: ending.signal, emit: () => undefined, nodesChanged },
    logged,
    seen,
    /** Sends events, and returns the number of changes so far once they are handled. */
    async changesAfter(...events: readonly Event[]) {
      const response = await watch.promise;
      watch = Promise.withResolvers();
      response.end(events.map(([type, object]) => `${JSON.stringify({ type, object })}\n`).join(""));
      // The follower watches again once it has read all of that.
      await watch.promise;
      return seen.length;
    },
    end: () => ending.abort(),
  };
}

interface Shape {
  readonly version?: string;
  readonly labels?: object;
  readonly spec?: object;
  readonly ready?: string;
  readonly allocatable?: object;
  readonly heartbeat?: string;
}

const cloudLabels = { "node.kubernetes.io/instance-type": "p5.48xlarge", "topology.kubernetes.io/zone": "us-east-1a" };
const offered = { cpu: "191", memory: "2000Gi", "nvidia.com/gpu": "8", "ephemeral-storage": "1000Gi" };

const node = (name: string, { version = "6", labels = {}, spec = {}, ready = "True", ...status }: Shape = {}) => ({
  metadata: { name, uid: `uid-${name}`, resourceVersion: version, labels: { ...cloudLabels, ...labels } },
  spec: { providerID: `aws:///us-east-1a/${name}`, ...spec },
  status: {
    allocatable: { ...offered, ...status.allocatable },
    conditions: [
      { type: "Ready", status: ready, lastHeartbeatTime: status.heartbeat },
      { type: "DiskPressure", status: "False", lastHeartbeatTime: status.heartbeat },
    ],
    images: [{ names: [status.heartbeat] }],
  },
});

describe("a watch of the nodes", () => {
  const watching = async (nodes: readonly object[], known: OfferedNodes = offeredNodes()) => {
    const watch = await opened(nodes);
    const ended = followNodes(watch.place, known, watch.following);
    return { ...watch, ended };
  };

  it.each([
    ["with", [node("a"), node("b")]],
    ["without", []],
  ])("reports the first list of a process once, %s nodes", async (_, nodes) => {
    const { changesAfter, end, ended } = await watching(nodes);

    expect(await changesAfter()).toBe(1);
    end();
    await ended;
  });

  it("reports no heartbeat, image, storage or foreign label", async () => {
    const { changesAfter, end, ended } = await watching([node("a")]);

    const changes = await changesAfter(
      ["MODIFIED", node("a", { version: "7", heartbeat: "2026-01-01T00:00:10Z" })],
      ["MODIFIED", node("a", { version: "8", labels: { team: "x" } })],
      ["MODIFIED", node("a", { version: "9", allocatable: { "ephemeral-storage": "900Gi" } })],
      ["MODIFIED", node("a", { version: "10", spec: { podCIDR: "10.0.0.0/24" } })],
    );

    expect(changes).toBe(1);
    end();
    await ended;
  });

  it.each<[string, Shape]>([
    ["a cordon", { spec: { unschedulable: true } }],
    ["a taint", { spec: { taints: [{ key: "team", value: "x", effect: "NoSchedule" }] } }],
    ["silence", { ready: "Unknown" }],
    ["fewer GPUs", { allocatable: { "nvidia.com/gpu": "7" } }],
    ["less memory, which leaves less beside foreign pods", { allocatable: { memory: "1900Gi" } }],
    ["another zone", { labels: { "topology.kubernetes.io/zone": "us-east-1b" } }],
    ["another node group", { labels: { "eks.amazonaws.com/nodegroup": "p5-b" } }],
    ["another type", { labels: { "node.kubernetes.io/instance-type": "t3.micro" } }],
  ])("reports %s once, and its end", async (_, shape) => {
    const { changesAfter, seen, end, ended } = await watching([node("a")]);

    const begun = await changesAfter(
      ["MODIFIED", node("a", { version: "7", ...shape })],
      ["MODIFIED", node("a", { version: "8", heartbeat: "later", ...shape })],
    );
    const over = await changesAfter(["MODIFIED", node("a", { version: "9" })]);

    expect([begun, over]).toEqual([2, 3]);
    expect(seen[1]).toEqual(shape.labels && "node.kubernetes.io/instance-type" in shape.labels ? "all" : new Set("a"));
    end();
    await ended;
  });

  it("reports a new node and a deleted one, and none of a type that Berth does not know", async () => {
    const { changesAfter, seen, end, ended } = await watching([node("a")]);
    const other = { labels: { "node.kubernetes.io/instance-type": "t3.micro" } };

    const changes = [
      await changesAfter(["ADDED", node("b", { version: "7" })]),
      await changesAfter(["DELETED", node("a", { version: "8" })]),
      await changesAfter(["ADDED", node("c", { version: "9", ...other })], ["DELETED", node("c", { version: "10" })]),
    ];

    expect(changes).toEqual([2, 3, 3]);
    expect(seen).toEqual(["all", "all", "all"]);
    end();
    await ended;
  });

  it("reports what changed between two watches of a process, and nothing else", async () => {
    const known = offeredNodes();
    const first = await watching([node("a"), node("b"), node("c")], known);
    await first.changesAfter();
    first.end();
    await first.ended;
    client.close();
    await server.close();

    const next = await watching([node("a", { heartbeat: "later" }), node("c", { ready: "Unknown" })], known);

    expect(await next.changesAfter()).toBe(1);
    next.end();
    await next.ended;
    client.close();
    await server.close();
    const last = await watching([node("a"), node("c", { ready: "Unknown" })], known);

    expect(await last.changesAfter()).toBe(0);
    last.end();
    await last.ended;
  });
});

describe("a watch of the pods of others", () => {
  const pod = (name: string, nodeName: string, version: string, requests: object = { "nvidia.com/gpu": "1" }) => ({
    metadata: { name, uid: name, resourceVersion: version },
    spec: { nodeName, containers: [{ name: "main", resources: { requests } }] },
  });
  const watching = async (from?: string, refuses?: (url: string) => number) => {
    const nodes = offeredNodes();
    nodes.update("a", "mark");
    const watch = await opened([], refuses);
    const ended = followForeignPods(watch.place, nodes, { ...watch.following, from });
    return { ...watch, ended };
  };

  it("reports a pod that comes to a node for runs or leaves it, and no change in between", async () => {
    const { changesAfter, seen, end, ended } = await watching();

    const changes = [
      await changesAfter(["ADDED", pod("x", "a", "6")]),
      await changesAfter(["MODIFIED", pod("x", "a", "7")], ["MODIFIED", pod("x", "a", "8")]),
      await changesAfter(["DELETED", pod("x", "a", "9")]),
    ];

    expect(changes).toEqual([1, 1, 2]);
    expect(seen).toEqual([new Set("a"), new Set("a")]);
    end();
    await ended;
  });

  it("reports no pod on another node, and none that requests nothing", async () => {
    const { changesAfter, end, ended } = await watching();

    const changes = await changesAfter(["ADDED", pod("x", "b", "6")], ["ADDED", pod("y", "a", "7", {})]);

    expect(changes).toBe(0);
    end();
    await ended;
  });

  it("lists no pods, and lets the server select those of others that are on a node and not over", async () => {
    const { changesAfter, end, ended } = await watching();

    await changesAfter();
    end();
    await ended;

    const queries = server.requests.map(({ url }) => new URLSearchParams(url.split("?")[1]));
    expect(queries.map((query) => query.get("limit"))).toEqual(["1", null, null]);
    for (const query of queries) {
      expect(query.get("labelSelector")).toBe("berth/deployment!=one");
      expect(query.get("fieldSelector")).toBe("spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed");
    }
  });

  it("continues from a position, and reports a gap if the server has forgotten it", async () => {
    let expired = 0;
    const forgets = (url: string) => (url.includes("resourceVersion=3") && expired++ === 0 ? 410 : 0);
    const known = await watching("4");
    const withoutGap = await known.changesAfter(["BOOKMARK", pod("", "", "6", {})]);
    known.end();
    await known.ended;
    client.close();
    await server.close();

    const forgotten = await watching("3", forgets);

    expect(withoutGap).toBe(0);
    expect(await forgotten.changesAfter(["BOOKMARK", pod("", "", "6", {})])).toBe(1);
    expect(forgotten.seen).toEqual(["all"]);
    forgotten.end();
    await forgotten.ended;
  });

  it("ends without its right, which is logged once for all watches", async () => {
    const { place, following, logged } = await opened([], () => 403);

    for (let watches = 0; watches < 2; watches += 1)
      await followForeignPods(place, offeredNodes(), { ...following, from: undefined });

    expect(logged).toEqual([
      [
        "a right on the cluster is missing: apply deploy/kubernetes anew",
        { refused: expect.stringMatching(/^GET \/api\/v1\/pods/) },
      ],
    ]);
  });
});
