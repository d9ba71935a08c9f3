import { expect, it } from "vitest";
import type { Job, Node, Pod } from "./objects.ts";
import { observationOf } from "./observation.ts";

const name = `${"a".repeat(32)}-r1`;
const marks = { resourceVersion: "1", creationTimestamp: "2026-01-01T12:00:00Z" };
const job: Job = { metadata: { name, uid: "u-job", ...marks, annotations: { "berth/ssh": "30022" } } };
const pod: Pod = {
  metadata: { name: `${name}-x`, uid: "u-pod", ...marks, ownerReferences: [{ kind: "Job", name, uid: "u-job" }] },
  spec: { nodeName: "one" },
  status: {
    phase: "Running",
    containerStatuses: [{ name: "main", state: { running: { startedAt: "2026-01-01T12:00:00Z" } } }],
  },
};

it.each([
  [
    "the one for the world",
    [
      ["InternalIP", "10.0.0.1"],
      ["ExternalIP", "52.0.0.1"],
    ],
    "52.0.0.1",
  ],
  ["one of IPv6", [["ExternalIP", "2001:db8::1"]], "2001:db8::1"],
  [
    "what is one, whatever else its node says",
    [
      ["ExternalIP", "x; $(id)"],
      ["InternalIP", "10.0.0.1"],
    ],
    "10.0.0.1",
  ],
  [
    "none that is no address",
    [
      ["ExternalIP", "x; $(id)"],
      ["InternalIP", "one.example"],
    ],
    undefined,
  ],
])("of a node's addresses people are told %s", (_, said, ip) => {
  const addresses = said.map(([type = "", address = ""]) => ({ type, address }));
  const node: Node = { metadata: { name: "one", uid: "u-one", ...marks }, spec: {}, status: { addresses } };

  const seen = observationOf(
    { jobs: [job], pods: [pod] },
    { now: 0, nodes: [node], podRefusal: null, missingVolume: null, failedPulls: 0 },
  );

  expect(seen?.address).toEqual(ip === undefined ? null : { ip, port: 30_022 });
});
