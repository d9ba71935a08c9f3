import { expect, it } from "vitest";
import { answeringCluster, job, list, now, object, pod, refused, uid } from "../fixtures/answering-cluster-fixture.ts";
import { annotation } from "../names.ts";

const { opened, countRequests, requests } = answeringCluster();
const scheduler = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu";
const max = "1 max node group size reached, 2 node(s) didn't match Pod's node affinity/selector";
const overLimit = 'all available instance types exceed limits for nodepool: "gpu"';

/** An event of the pod, some seconds before now. */
function said(reason: string, message: string, component = "cluster-autoscaler", seconds = 10) {
  const lastTimestamp = new Date(now - seconds * 1000).toISOString();
  const involvedObject = { kind: "Pod", uid: pod.metadata.uid };
  return {
    metadata: { name: `event-${seconds}` },
    involvedObject,
    reason,
    message,
    lastTimestamp,
    source: { component },
  };
}

/** Answers of a cluster with a pod that has no room, on any machine by default. */
function unscheduled(events: ReturnType<typeof list>, { node = null as string | null, message = scheduler } = {}) {
  const { nodeName: _, ...spec } = pod.spec;
  const conditions = [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }];
  const annotations = { [annotation.shares]: JSON.stringify([{ node, units: 8 }]) };
  return {
    "GET jobs": object({ ...job, metadata: { ...job.metadata, annotations } }),
    "GET pods": list({ ...pod, spec, status: { phase: "Pending", conditions } }),
    "GET events": events,
  };
}

it.each([
  [
    "the Cluster Autoscaler's refusal",
    [said("NotTriggerScaleUp", `pod didn't trigger scale-up: ${max}`)],
    `The Cluster Autoscaler adds no machine: ${max}`,
  ],
  [
    "the refusal of an older Cluster Autoscaler",
    [said("NotTriggerScaleUp", `pod didn't trigger scale-up (it wouldn't fit if a new node is added): ${max}`)],
    `The Cluster Autoscaler adds no machine: ${max}`,
  ],
  [
    "the causes in the same order each time",
    [said("NotTriggerScaleUp", `pod didn't trigger scale-up: ${max.split(", ").toReversed().join(", ")}`)],
    `The Cluster Autoscaler adds no machine: ${max}`,
  ],
  [
    "no event of another pod",
    [{ ...said("TriggeredScaleUp", "pod triggered scale-up"), involvedObject: { kind: "Pod", uid: "another" } }],
    undefined,
  ],
  [
    "the newest",
    [
      said("TriggeredScaleUp", "pod triggered scale-up: [{eks-h100 0->1 (max: 4)}]", undefined, 5),
      said("NotTriggerScaleUp", `pod didn't trigger scale-up: ${max}`, undefined, 60),
    ],
    "The Cluster Autoscaler is adding a machine",
  ],
  [
    "Karpenter's refusal",
    [said("FailedScheduling", `Failed to schedule pod, ${overLimit}`, "karpenter")],
    `Karpenter adds no machine: ${overLimit}`,
  ],
  [
    "that Karpenter makes one",
    [said("Nominated", "Pod should schedule on: nodeclaim/gpu-x7k2p", "karpenter")],
    "Karpenter is adding a machine",
  ],
  [
    "without an address in a message",
    [said("NotTriggerScaleUp", 'pod didn\'t trigger scale-up: Get "https://10.0.0.1/apis": refused\u001b[2J')],
    "The Cluster Autoscaler adds no machine: refused [2J",
  ],
  [
    "the scheduler's reason if only the scheduler spoke",
    [said("FailedScheduling", scheduler, "default-scheduler")],
    undefined,
  ],
  ["the scheduler's reason without an event", [], undefined],
])("a run that waits for a new machine shows what an autoscaler said: %s", async (_, events, words) => {
  const compute = await opened(unscheduled(list(...events)));

  const seen = await compute.observe(uid, 1);

  expect(seen).toMatchObject({
    state: "unbound",
    reason: words ?? scheduler,
  });
  expect(requests().find(({ url }) => url.includes("/events"))?.url).toContain(
    "involvedObject.kind%3DPod%2Creason!%3DScheduled",
  );
});

it.each([
  ["of a run that must be on a machine that exists", { node: "one" }],
  [
    "of a run whose volume is in another zone",
    { message: "0/1 nodes are available: 1 node(s) had volume node affinity conflict." },
  ],
])("the events %s are not read for an autoscaler", async (_, options) => {
  const compute = await opened(unscheduled(list(said("TriggeredScaleUp", "pod triggered scale-up")), options));

  const seen = await compute.observe(uid, 1);

  expect(seen?.reason).not.toContain("Autoscaler");
  expect(countRequests("GET", "events?fieldSelector=involvedObject.kind%3DPod%2Creason")).toBe(0);
});

it("a cluster that does not let events be read shows the scheduler's reason", async () => {
  const compute = await opened(unscheduled(refused(403, "Forbidden")));

  expect(await compute.observe(uid, 1)).toMatchObject({
    reason: scheduler,
  });
});
