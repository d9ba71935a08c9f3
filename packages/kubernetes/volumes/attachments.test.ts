import { expect, it } from "vitest";
import type { ApiClient } from "../client/api-client.ts";
import { buildPaths } from "../paths.ts";
import { kubernetesVolumes } from "../volumes.ts";
import { sharedLists } from "../watch/shared-lists.ts";
import { detachFromLost } from "./attachments.ts";

const DISKS = 16;
const machine = { name: "one", uid: "node-one", providerId: null };
const claims = Array.from({ length: DISKS }, (_, n) => {
  const uid = `11111111-2222-3333-4444-${String(n).padStart(12, "0")}`;
  return { metadata: { name: `volume-${n.toString(16).padStart(40, "0")}`, uid }, spec: { volumeName: `pv-${n}` } };
});
const ids = claims.map(({ metadata: { name, uid } }) => `${name}.${uid}`);
const volumes = claims.map(({ spec }, n) => ({
  metadata: { name: spec.volumeName, uid: `uid-${n}`, labels: { "berth/claim": claims[n]?.metadata.uid } },
  spec: { csi: { driver: "csi.example", volumeHandle: `handle-${n}` }, persistentVolumeReclaimPolicy: "Retain" },
}));
const getAttachment = (volume: string, nodeName = "one") => ({
  metadata: { name: `attached-${volume}`, uid: `uid-attached-${volume}` },
  spec: { nodeName, source: { persistentVolumeName: volume } },
});
const nodeNamed = (name: string, status: object = {}) => ({
  metadata: { name, uid: `node-${name}` },
  spec: {},
  status,
});

/** API server with a volume for each disk, which answers lists with the state at the request. */
function clusterWith({ attachments, nodes }: { attachments: object[]; nodes: object[] }) {
  const [lists, removed]: [string[], string[]] = [[], []];
  const objects = [...claims, ...volumes, ...(nodes as typeof volumes)];
  const there: Readonly<Record<string, readonly object[]>> = { volumeattachments: attachments, nodes };
  const list = async (path: string, keep: (item: object) => readonly object[]) => {
    const kind = path.split("?")[0]?.split("/").at(-1) ?? "";
    lists.push(kind);
    const items = [...(there[kind] ?? [])];
    // Answers later, as a network does: never in the same turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    return { items: items.flatMap(keep), resourceVersion: "1" };
  };
  const client = {
    list,
    find: async (path: string) => objects.find(({ metadata }) => path.endsWith(`/${metadata.name}`)),
    get: async () => ({ groups: [] }),
    patch: async () => ({}),
    remove: async (path: string) => void removed.push(path.split("/").at(-1) ?? ""),
  } as unknown as ApiClient;
  const paths = buildPaths("environments");
  const place = { client, paths, deployment: "one", lists: sharedLists(client, paths) };
  return {
    place,
    // Without shared lists, as the stores of a cluster are opened.
    volumes: kubernetesVolumes({ client, paths, deployment: "one" }, { now: () => 0 }),
    removed,
    countLists: (kind: string) => lists.filter((list) => list === kind).length,
  };
}

const getAttached = async (of: ReturnType<typeof clusterWith>, names: readonly string[]) =>
  Promise.all(names.map(async (id) => (await of.volumes.findVolume(id))?.attached));

it("16 disks at once cost two lists of attachments and three of nodes, and each gets its own answer", async () => {
  const name = (n: number) => `kubernetes.io/csi/csi.example^handle-${n}`;
  const cluster = clusterWith({
    attachments: [getAttachment("pv-5"), getAttachment("pv-of-somebody")],
    nodes: [nodeNamed("one", { volumesInUse: [name(7)] }), nodeNamed("two", { volumesAttached: [{ name: name(11) }] })],
  });

  const attached = await getAttached(cluster, ids);

  expect(attached).toEqual(ids.map((_, n) => [5, 7, 11].includes(n)));
  expect([cluster.countLists("volumeattachments"), cluster.countLists("nodes")]).toEqual([2, 3]);
});

it("a caller after the start of a list of attachments gets a newer list", async () => {
  const attachments: object[] = [];
  const cluster = clusterWith({ attachments, nodes: [] });
  const { lists } = cluster.place;
  const before = lists.attachments(["pv-1"]);

  attachments.push(getAttachment("pv-1"));
  const after = lists.attachments(["pv-1"]);

  expect([await before, (await after).map(({ volume }) => volume)]).toEqual([[], ["pv-1"]]);
});

it("a caller after the start of a list of nodes gets a newer list", async () => {
  const nodes: object[] = [];
  const { place } = clusterWith({ attachments: [], nodes });
  const before = place.lists.isOnNode("kubernetes.io/csi/csi.example^handle-1");

  nodes.push(nodeNamed("one", { volumesInUse: ["kubernetes.io/csi/csi.example^handle-1"] }));
  const after = place.lists.isOnNode("kubernetes.io/csi/csi.example^handle-1");

  expect([await before, await after]).toEqual([false, true]);
});

it("16 disks are detached from one machine with two lists of attachments, and others stay", async () => {
  const attachments = volumes.map(({ metadata }, n) => getAttachment(metadata.name, n === 5 ? "two" : "one"));
  const cluster = clusterWith({ attachments, nodes: [nodeNamed("one"), nodeNamed("two")] });

  await Promise.all(ids.map((id) => cluster.volumes.detachVolume(id, machine)));

  const names = volumes.flatMap(({ metadata }, n) => (n === 5 ? [] : [`attached-${metadata.name}`]));
  expect(cluster.removed.toSorted()).toEqual(names.toSorted());
  expect(cluster.countLists("volumeattachments")).toBe(2);
});

it("all volumes of a run are detached from lost machines with one list of attachments", async () => {
  const ready = { conditions: [{ type: "Ready", status: "True" }] };
  const cluster = clusterWith({
    attachments: [
      getAttachment("pv-1"),
      getAttachment("pv-2", "two"),
      getAttachment("pv-3"),
      getAttachment("pv-4", "held"),
    ],
    nodes: [nodeNamed("one"), nodeNamed("two", ready), nodeNamed("held")],
  });

  await detachFromLost(cluster.place, ["pv-1", "pv-2", "pv-4"], ["held"]);

  expect(cluster.removed).toEqual(["attached-pv-1"]);
  expect(cluster.countLists("volumeattachments")).toBe(1);
});
