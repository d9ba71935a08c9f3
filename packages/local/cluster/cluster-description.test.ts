import { expect, test } from "vitest";
import type { ComputeNode } from "#core/ports/compute.ts";
import { describeCluster, findDefaultClass, type SeenCluster } from "./cluster-description.ts";

function getNode(name: string, changes: Partial<ComputeNode> = {}): ComputeNode {
  const rest = { uid: name, providerId: null, instanceType: "p5.48xlarge", zone: "a", ready: true };
  return { name, ...rest, units: 8, foreignUnits: 0, ...changes };
}

const storageClass = {
  metadata: { name: "fast" },
  provisioner: "fast.csi.example",
  volumeBindingMode: "WaitForFirstConsumer",
};
const seen: SeenCluster = {
  known: [getNode("one"), getNode("two")],
  nodeCount: 2,
  storageClass,
  toolsImage: "registry.test/berth-tools:1",
  snapshotClass: "snapshots",
  network: [],
};
const always = describeCluster(seen).lacks;

function lacksBeside(changes: Partial<SeenCluster>): string[] {
  return describeCluster({ ...seen, ...changes }).lacks.filter((line) => !always.includes(line));
}

test("a complete cluster is described by its nodes", () => {
  expect(
    describeCluster({ ...seen, known: [...seen.known, getNode("cpu", { instanceType: "m7i.8xlarge" })] }).nodes,
  ).toBe("p5.48xlarge=2,m7i.8xlarge=1");
  expect(always.join("\n")).not.toMatch(/GPU|class|node|backup/);
});

test.each<[words: string, what: Partial<SeenCluster>]>([
  ["GPUs: no node has any", { known: [getNode("cpu", { instanceType: "m7i.8xlarge" })], nodeCount: 1 }],
  [
    "GPUs: one, two offer none: see whether the device plugin runs there, and how many processors and how much memory there are",
    {
      known: seen.known.map((node) => ({ ...node, units: 0 })),
    },
  ],
  [
    "nodes that are not used now: two is not ready, cordoned or kept for others",
    {
      known: [getNode("one"), getNode("two", { ready: false })],
    },
  ],
  ["nodes that are not used: 3 have no type of docs/apis/gpu-dev.md: set NODE_TYPES", { nodeCount: 5 }],
  [
    "disks: the cluster has no default storage class; jobs with a disk wait until it has one",
    { storageClass: undefined, snapshotClass: undefined },
  ],
  ["network: no policy limits it", { network: ["network: no policy limits it"] }],
  [
    "backups: no VolumeSnapshotClass is for fast.csi.example; a disk keeps its volume, which is its only copy",
    { snapshotClass: undefined },
  ],
  [
    "disks: class fast makes them in any zone; a job may not reach its own: use one with WaitForFirstConsumer",
    {
      known: [getNode("one"), getNode("two", { zone: "b" })],
      storageClass: { ...storageClass, volumeBindingMode: "Immediate" },
    },
  ],
])("says what is missing: %s", (words, label) => {
  expect(lacksBeside(label)).toEqual([words]);
});

test("finds the default of several storage classes", () => {
  const annotations = { "storageclass.kubernetes.io/is-default-class": "true" };
  const otherEntry = { ...storageClass, metadata: { name: "default", annotations } };

  expect([findDefaultClass([storageClass, otherEntry]), findDefaultClass([storageClass])]).toEqual([
    otherEntry,
    undefined,
  ]);
});

test("names a few of many nodes, and `none` without nodes", () => {
  const knownNodes = Array.from({ length: 7 }, (_, at) => getNode(`n${at}`, { ready: false }));

  expect(lacksBeside({ known: knownNodes, nodeCount: 7 })[0]).toContain("n0, n1, n2, n3, n4 and 2 more are not ready");
  expect(describeCluster({ ...seen, known: [], nodeCount: 0 }).nodes).toBe("none");
});
