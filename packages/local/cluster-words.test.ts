import { expect, test } from "vitest";
import type { ComputeNode } from "#core/context.ts";
import { clusterWords, type SeenCluster } from "./cluster-words.ts";

function nodeOf(name: string, changes: Partial<ComputeNode> = {}): ComputeNode {
  const rest = { uid: name, providerId: null, instanceType: "p5.48xlarge", zone: "a", ready: true };
  return { name, ...rest, units: 8, foreignUnits: 0, ...changes };
}

const classed = [{ metadata: { annotations: { "storageclass.kubernetes.io/is-default-class": "true" } } }];
const seen: SeenCluster = { known: [nodeOf("one"), nodeOf("two")], nodeCount: 2, storageClasses: classed };
const always = clusterWords(seen).lacks;

function lacksBeside(changes: Partial<SeenCluster>): string[] {
  return clusterWords({ ...seen, ...changes }).lacks.filter((line) => !always.includes(line));
}

test("a cluster that lacks nothing is named by what it has", () => {
  expect(clusterWords({ ...seen, known: [...seen.known, nodeOf("cpu", { instanceType: "m7i.8xlarge" })] }).nodes).toBe(
    "p5.48xlarge=2,m7i.8xlarge=1",
  );
  expect(always.join("\n")).not.toMatch(/GPU|storage class|node/);
});

test.each<[words: string, what: Partial<SeenCluster>]>([
  ["GPUs: no node has any", { known: [nodeOf("cpu", { instanceType: "m7i.8xlarge" })], nodeCount: 1 }],
  [
    "GPUs: one, two offer none: see whether the device plugin runs there",
    {
      known: seen.known.map((node) => ({ ...node, units: 0 })),
    },
  ],
  [
    "nodes that are not used: two has no zone: kubectl label node <name> topology.kubernetes.io/zone=<zone>",
    {
      known: [nodeOf("one"), nodeOf("two", { zone: "" })],
    },
  ],
  [
    "nodes that are not used now: two is not ready, cordoned or kept for others",
    {
      known: [nodeOf("one"), nodeOf("two", { ready: false })],
    },
  ],
  [
    "nodes that are not used: 3 have no type of docs/apis/gpu-dev.md: kubectl label --overwrite node <name> node.kubernetes.io/instance-type=<type>",
    { nodeCount: 5 },
  ],
  [
    "disks: the cluster has no default storage class; what asks for a disk waits until it has one",
    { storageClasses: [{ metadata: {} }] },
  ],
])("says what is missing: %s", (words, what) => {
  expect(lacksBeside(what)).toEqual([words]);
});

test("names a few of many nodes, and says none where there is none", () => {
  const known = Array.from({ length: 7 }, (_, at) => nodeOf(`n${at}`, { zone: "" }));

  expect(lacksBeside({ known, nodeCount: 7 })[0]).toContain("n0, n1, n2, n3, n4 and 2 more have no zone");
  expect(clusterWords({ ...seen, known: [], nodeCount: 0 }).nodes).toBe("none");
});
