import { describe, expect, it } from "vitest";
import type { Job, Node, Pod } from "../objects.ts";
import { boundNodes, listNodeNames, unkeptNodes } from "./bound-nodes.ts";

const getNode = (name: string, uid: string, ready = "True", creationTimestamp = "2026-01-01T00:00:00Z"): Node =>
  ({
    metadata: { name, uid, creationTimestamp },
    spec: { providerID: `aws:///${name}` },
    status: { conditions: [{ type: "Ready", status: ready }] },
  }) as unknown as Node;
const buildPod = (index: number, nodeName?: string): Pod =>
  ({
    metadata: {
      uid: `pod-${index}`,
      ownerReferences: [{ kind: "Job", name: index === 0 ? "a-r1" : `a-r1-m${index}` }],
    },
    spec: { nodeName },
    status: {
      conditions: [{ type: "PodScheduled", status: "True", lastTransitionTime: "2026-01-01T12:00:00Z" }],
    },
  }) as unknown as Pod;
const getJob = (bound?: string): Job =>
  ({ metadata: { annotations: bound === undefined ? {} : { "berth/bound": bound } } }) as unknown as Job;

describe("the nodes of a run", () => {
  it("are those of its pods, by machine, with the fields of the node objects", () => {
    const pods = [buildPod(1, "b"), buildPod(0, "a"), buildPod(2)];
    const nodes = [getNode("a", "u-a"), getNode("b", "u-b", "Unknown")];

    expect(boundNodes({ jobs: [getJob()], pods }, nodes)).toMatchObject([
      { index: 0, name: "a", uid: "u-a", providerId: "aws:///a", silent: null },
      { index: 1, name: "b", uid: "u-b", providerId: "aws:///b", silent: "notReady" },
    ]);
  });

  it("stay those of the binding when a name returns with another machine", () => {
    const kept = unkeptNodes(
      getJob(),
      boundNodes({ jobs: [getJob()], pods: [buildPod(0, "a")] }, [getNode("a", "old")]),
    );
    const job = getJob(kept);

    const later = boundNodes({ jobs: [job], pods: [buildPod(0, "a")] }, [getNode("a", "new")]);

    expect(later).toEqual([{ index: 0, name: "a", uid: "old", providerId: "aws:///a", silent: "missing" }]);
    expect(boundNodes({ jobs: [job], pods: [] }, [])).toEqual(later);
    expect(unkeptNodes(job, later)).toBeUndefined();
    expect(listNodeNames({ jobs: [job], pods: [] })).toEqual(["a"]);
  });

  it("have an unknown uid if the first reconcile finds the node gone, or a younger one in its place", () => {
    const unknown = [{ index: 0, name: "a", uid: "unknown-pod-0", providerId: null, silent: "missing" }];
    const younger = getNode("a", "new", "True", "2026-01-01T12:00:01Z");

    expect(boundNodes({ jobs: [getJob()], pods: [buildPod(0, "a")] }, [])).toEqual(unknown);
    expect(boundNodes({ jobs: [getJob()], pods: [buildPod(0, "a")] }, [younger])).toEqual(unknown);
  });

  it.each(["{}", "[1, null]"])("are read again if the annotation was overwritten with %s", (written) => {
    const pods = [buildPod(0, "a")];

    expect(boundNodes({ jobs: [getJob(written)], pods }, [getNode("a", "u-a")])).toMatchObject([{ uid: "u-a" }]);
  });
});
