import { describe, expect, it } from "vitest";
import type { Job, Node, Pod } from "../objects.ts";
import { boundNodes, nodeNamesOf, unkeptNodes } from "./bound-nodes.ts";

const nodeOf = (name: string, uid: string, ready = "True", creationTimestamp = "2026-01-01T00:00:00Z"): Node =>
  ({
    metadata: { name, uid, creationTimestamp },
    spec: { providerID: `aws:///${name}` },
    status: { conditions: [{ type: "Ready", status: ready }] },
  }) as unknown as Node;
const podOf = (index: number, nodeName?: string): Pod =>
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
const jobOf = (bound?: string): Job =>
  ({ metadata: { annotations: bound === undefined ? {} : { "berth/bound": bound } } }) as unknown as Job;

describe("the nodes that a run is bound to", () => {
  it("are those of its pods, by their machines, with what the node objects say", () => {
    const pods = [podOf(1, "b"), podOf(0, "a"), podOf(2)];
    const nodes = [nodeOf("a", "u-a"), nodeOf("b", "u-b", "Unknown")];

    expect(boundNodes({ jobs: [jobOf()], pods }, nodes)).toMatchObject([
      { index: 0, name: "a", uid: "u-a", providerId: "aws:///a", silent: null },
      { index: 1, name: "b", uid: "u-b", providerId: "aws:///b", silent: "notReady" },
    ]);
  });

  it("stay those of the time of binding when a name comes back with another machine", () => {
    const kept = unkeptNodes(jobOf(), boundNodes({ jobs: [jobOf()], pods: [podOf(0, "a")] }, [nodeOf("a", "old")]));
    const job = jobOf(kept);

    const later = boundNodes({ jobs: [job], pods: [podOf(0, "a")] }, [nodeOf("a", "new")]);

    expect(later).toEqual([{ index: 0, name: "a", uid: "old", providerId: "aws:///a", silent: "missing" }]);
    expect(boundNodes({ jobs: [job], pods: [] }, [])).toEqual(later);
    expect(unkeptNodes(job, later)).toBeUndefined();
    expect(nodeNamesOf({ jobs: [job], pods: [] })).toEqual(["a"]);
  });

  it("are of an unknown uid where the first look finds the node gone, or a younger one in its place", () => {
    const unknown = [{ index: 0, name: "a", uid: "unknown-pod-0", providerId: null, silent: "missing" }];
    const younger = nodeOf("a", "new", "True", "2026-01-01T12:00:01Z");

    expect(boundNodes({ jobs: [jobOf()], pods: [podOf(0, "a")] }, [])).toEqual(unknown);
    expect(boundNodes({ jobs: [jobOf()], pods: [podOf(0, "a")] }, [younger])).toEqual(unknown);
  });

  it.each(["{}", "[1, null]"])("are looked up anew where somebody wrote %s into the annotation", (written) => {
    const pods = [podOf(0, "a")];

    expect(boundNodes({ jobs: [jobOf(written)], pods }, [nodeOf("a", "u-a")])).toMatchObject([{ uid: "u-a" }]);
  });
});
