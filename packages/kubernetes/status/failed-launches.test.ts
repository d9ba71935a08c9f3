import { expect, it } from "vitest";
import {
  type Answer,
  answeringCluster,
  job,
  list,
  now,
  object,
  pod,
  refused,
  uid,
} from "../fixtures/answering-cluster-fixture.ts";
import { fleetErrors, nominated, unlaunched, unscheduled } from "../fixtures/karpenter-events-fixture.ts";
import { annotation, label } from "../names.ts";

const { opened, countRequests, logged } = answeringCluster();
const before = (seconds: number) => ({ at: now - seconds * 1_000 });
/** Karpenter makes a NodeClaim, cannot launch it, and finds no other. */
const [nominatedAt, failedAt, leftAt] = [before(14), before(13), before(4)];

/** Answers of a cluster whose pod waits for a new machine. `launches`: the events in the namespace `default`. */
function waiting(events: readonly object[], launches: Answer, labels: object = { [label.pool]: "h100" }) {
  const { nodeName: _, ...spec } = pod.spec;
  const annotations = { [annotation.shares]: JSON.stringify([{ node: null, units: 8 }]) };
  const message = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu";
  const conditions = [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }];
  const metadata = { ...pod.metadata, labels: { ...pod.metadata.labels, ...labels } };
  const ofPods = list(...events);
  const answer: Answer = (response, request) =>
    (request.url?.includes("/namespaces/default/") ? launches : ofPods)(response, request);
  return {
    "GET jobs": object({ ...job, metadata: { ...job.metadata, annotations } }),
    "GET pods": list({ ...pod, metadata, spec, status: { phase: "Pending", conditions } }),
    "GET events": answer,
  };
}

const nothingLeft = "Karpenter adds no machine: incompatible with nodepool";
const inOneZone = "AWS has no p5.48xlarge in us-east-1a now";

it.each([
  ["no machine in a zone", fleetErrors.oneZone, inOneZone, "machines"],
  [
    "no machine in the zone that is named first",
    fleetErrors.twoZones,
    "AWS has no p5.48xlarge in us-east-1b now",
    "machines",
  ],
  ["no machine, in the words of an older Karpenter", fleetErrors.older, inOneZone, "machines"],
  ["no Spot machine", fleetErrors.spot, "AWS has no p5.48xlarge now", "machines"],
  ["the account's quota", fleetErrors.quota, "The AWS account's quota for p5.48xlarge is used up", "quota"],
  ["the account's Spot quota", fleetErrors.spotQuota, "The AWS account's quota for p5.48xlarge is used up", "quota"],
  ["addresses", fleetErrors.addresses, "The subnets of p5.48xlarge have no free addresses", "addresses"],
  [
    "a zone that has the type",
    fleetErrors.unsupported,
    "Karpenter adds no machine: Unsupported: Your requested instance type (p5.48xlarge) is not supported in your requested " +
      "Availability Zone (us-east-1e). Please retry your request by not specifying an Availability Zone or choosing us-east-1a.",
    undefined,
  ],
  [
    "something that the message does not name",
    fleetErrors.known,
    "Karpenter adds no machine: all requested instance types were unavailable during launch",
    undefined,
  ],
])("a run whose NodeClaim was not launched says what was missing: %s", async (_, error, reason, lacks) => {
  const events = [nominated(pod.metadata, "gpu-x7k2p", nominatedAt), unscheduled(pod.metadata, leftAt)];
  const compute = await opened(waiting(events, list(unlaunched("gpu-x7k2p", error, failedAt))));

  const seen = await compute.observe(uid, 1);

  expect([seen?.state, seen?.reason, seen?.lacks]).toEqual(["unbound", reason, lacks]);
});

it("a run may still get a machine until Karpenter finds no other zone or kind of machine", async () => {
  const launches = list(unlaunched("gpu-x7k2p", fleetErrors.oneZone, failedAt));
  const compute = await opened(waiting([nominated(pod.metadata, "gpu-x7k2p", nominatedAt)], launches));

  const seen = await compute.observe(uid, 1);

  expect([seen?.reason, seen?.lacks]).toEqual([inOneZone, undefined]);
});

it("a failed launch says nothing once Karpenter may ask EC2 again", async () => {
  const events = [nominated(pod.metadata, "gpu-x7k2p", before(182)), unscheduled(pod.metadata, before(170))];
  const compute = await opened(waiting(events, list(unlaunched("gpu-x7k2p", fleetErrors.oneZone, before(180)))));

  const seen = await compute.observe(uid, 1);

  expect([seen?.reason?.slice(0, nothingLeft.length), seen?.lacks]).toEqual([nothingLeft, undefined]);
});

it("only the newest NodeClaim of a pod counts", async () => {
  const events = [nominated(pod.metadata, "gpu-x7k2p", nominatedAt), nominated(pod.metadata, "gpu-m4n8q", leftAt)];
  const compute = await opened(waiting(events, list(unlaunched("gpu-x7k2p", fleetErrors.oneZone, failedAt))));

  expect(await compute.observe(uid, 1)).toMatchObject({ reason: "Karpenter is adding a machine" });
});

it("a run of a pool that this version does not know shows Karpenter's words, and keeps its grant", async () => {
  const events = [nominated(pod.metadata, "gpu-x7k2p", nominatedAt), unscheduled(pod.metadata, leftAt)];
  const launches = list(unlaunched("gpu-x7k2p", fleetErrors.oneZone, failedAt));
  const compute = await opened(waiting(events, launches, { [label.pool]: "gone" }));

  const seen = await compute.observe(uid, 1);

  expect([seen?.reason, seen?.lacks]).toEqual([
    expect.stringContaining("Karpenter adds no machine: InsufficientInstanceCapacity: "),
    undefined,
  ]);
});

it("a cluster that does not let these events be read shows what the pod's events say, and logs nothing", async () => {
  const compute = await opened(waiting([nominated(pod.metadata, "gpu-x7k2p", nominatedAt)], refused(403, "Forbidden")));

  const seen = [await compute.observe(uid, 1), await compute.observe(uid, 1)];

  expect(seen.map((each) => each?.reason)).toEqual(Array(2).fill("Karpenter is adding a machine"));
  expect(countRequests("GET", "namespaces/default/events")).toBe(1);
  expect(logged()).toEqual([]);
});

it("events of NodeClaims are listed every ten seconds while a pod waits for one, and for no other pod", async () => {
  let at = now;
  const launches = list(unlaunched("gpu-x7k2p", fleetErrors.oneZone, failedAt));
  const waits = await opened(waiting([nominated(pod.metadata, "gpu-x7k2p", nominatedAt)], launches), () => at);
  for (const seconds of [0, 5, 9, 10, 19]) {
    at = now + seconds * 1_000;
    await waits.observe(uid, 1);
  }
  const counted = countRequests("GET", "namespaces/default/events");

  const other = await opened(waiting([unscheduled(pod.metadata, leftAt)], launches));
  await other.observe(uid, 1);

  expect([counted, countRequests("GET", "namespaces/default/events")]).toEqual([2, 0]);
});
