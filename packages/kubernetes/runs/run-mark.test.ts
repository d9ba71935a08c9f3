import { describe, expect, it } from "vitest";
import type { Observation } from "#core/ports/compute.ts";
import type { Job, Node, Pod } from "../objects.ts";
import { noEvents, toObservation } from "../status/observation.ts";
import { markOfPod } from "./bound-nodes.ts";

const uid = "a".repeat(32);
const node: Node = {
  metadata: { name: "one", uid: "u-one", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" },
  spec: {},
  status: {
    conditions: [{ type: "Ready", status: "True" }],
    addresses: [{ type: "InternalIP", address: "10.0.0.1" }],
  },
};
const running = { name: "main", state: { running: { startedAt: "2026-01-01T12:00:00Z" } } };
const pod: Pod = {
  metadata: {
    name: "p",
    uid: "u-pod",
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T12:00:00Z",
    annotations: { "berth/ports": '[{"port":8080,"kind":"http"}]' },
    ownerReferences: [{ kind: "Job", name: `${uid}-r1`, uid: "u-job" }],
  },
  spec: { nodeName: "one" },
  status: {
    phase: "Running",
    podIP: "10.1.0.1",
    conditions: [
      { type: "PodScheduled", status: "True", lastTransitionTime: "2026-01-01T12:00:00Z" },
      { type: "Ready", status: "True" },
    ],
    containerStatuses: [running],
  },
};
const job: Job = {
  metadata: {
    name: `${uid}-r1`,
    uid: "u-job",
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T12:00:00Z",
    annotations: { "berth/ports": '[{"port":8080,"kind":"http"}]' },
  },
};

function seen(change: { readonly pod?: Partial<Pod["status"]>; readonly node?: Node | null; readonly deleted?: true }) {
  const metadata = change.deleted ? { ...pod.metadata, deletionTimestamp: "2026-01-01T13:00:00Z" } : pod.metadata;
  const pods = [{ ...pod, metadata, status: { ...pod.status, ...change.pod } }];
  const nodes = change.node === null ? [] : [change.node ?? node];
  const observed = toObservation(
    { jobs: [job], pods },
    {
      now: 0,
      nodes,
      ...noEvents,
    },
  );
  return { mark: observed?.nodes[0]?.mark, rest: withoutMarks(observed) };
}

function withoutMarks(observed: Observation | undefined): object {
  return { ...observed, nodes: observed?.nodes.map(({ mark: _, ...bound }) => bound) };
}

const terminated = { exitCode: 3, finishedAt: "2026-01-01T13:00:00Z" };
const notReady = { ...node, status: { ...node.status, conditions: [{ type: "Ready", status: "Unknown" }] } };
const moved = { ...node, status: { ...node.status, addresses: [{ type: "ExternalIP", address: "52.0.0.1" }] } };

describe("the mark of a run", () => {
  it.each([
    ["its command ends", { pod: { containerStatuses: [{ name: "main", state: { terminated } }] } }],
    ["its port falls silent", { pod: { conditions: [{ type: "Ready", status: "False" }] } }],
    ["its pod has another address", { pod: { podIP: "10.1.0.2" } }],
    ["it is evicted", { pod: { phase: "Failed" as const, reason: "Evicted", message: "low on memory" } }],
    ["its image is pulled again", { pod: { containerStatuses: [{ name: "main", state: { waiting: {} } }] } }],
    ["its node is not ready", { node: notReady }],
    ["its node has another address", { node: moved }],
    ["its node is gone", { node: null }],
  ])("changes with the observation when %s", (_, change) => {
    const [before, after] = [seen({}), seen(change)];

    expect(before.mark).toEqual(expect.any(String));
    expect(after.rest).not.toEqual(before.rest);
    expect(after.mark).not.toBe(before.mark);
  });

  it("changes when its pod is being deleted", () => {
    expect(seen({ deleted: true }).mark).not.toBe(seen({}).mark);
  });

  it.each([
    ["its Job was deleted without it", []],
    ["it is another Job's of that name", [{ kind: "Job", name: `${uid}-r1`, uid: "u-another" }]],
  ])("changes when %s", (_, ownerReferences) => {
    const otherPod: Pod = { ...pod, metadata: { ...pod.metadata, generateName: `${uid}-r1-`, ownerReferences } };

    expect(markOfPod(otherPod)).not.toBe(
      markOfPod({ ...pod, metadata: { ...pod.metadata, generateName: `${uid}-r1-` } }),
    );
  });

  it("stays the same when only unobserved fields of the pod change", () => {
    const conditions = [...(pod.status?.conditions ?? []), { type: "Initialized", status: "True" }];

    expect(seen({ pod: { conditions } })).toEqual(seen({}));
  });

  it("is missing if a machine has two pods", () => {
    const pods = [pod, { ...pod, metadata: { ...pod.metadata, uid: "u-other" } }];

    const observed = toObservation(
      { jobs: [job], pods },
      {
        now: 0,
        nodes: [node],
        ...noEvents,
      },
    );

    expect(observed?.nodes.map(({ mark }) => mark)).toEqual([undefined, undefined]);
  });
});
