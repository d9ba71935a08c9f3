import { describe, expect, it } from "vitest";
import {
  answeringCluster,
  job,
  list,
  node,
  now,
  object,
  pod,
  refused,
  uid,
} from "../fixtures/answering-cluster-fixture.ts";

const { opened, countRequests } = answeringCluster();
const image = "nvcr.io/nvidia/pytorch:24.10-py3";
const words = `Pulling its image since 2026-01-01 00:07 UTC: ${image}`;
const ofMain = "spec.containers{main}";
const ofTools = "spec.initContainers{tools}";

/** The event that the kubelet writes when it begins to pull the image of a container. */
function pulling(fieldPath: string, lastTimestamp = "2026-01-01T00:07:30Z", podUid = pod.metadata.uid) {
  const involvedObject = { kind: "Pod", uid: podUid, fieldPath };
  const message = `Pulling image "${image}"`;
  return { metadata: { name: "event" }, involvedObject, reason: "Pulling", message, lastTimestamp };
}

const creating = { name: "main", state: { waiting: { reason: "ContainerCreating" } } };
const initializing = { name: "main", state: { waiting: { reason: "PodInitializing" } } };
const bound = (lastTransitionTime: string) => [{ type: "PodScheduled", status: "True", lastTransitionTime }];
const tools = (state: object) => ({
  spec: { initContainers: [{ name: "tools", image: "registry.internal/berth-tools:1" }] },
  status: { initContainerStatuses: [{ name: "tools", state }], containerStatuses: [initializing] },
});

interface PodChanges {
  readonly spec?: object;
  readonly status?: object;
}

const answers = (events: ReturnType<typeof list>, { spec = {}, status = {} }: PodChanges = {}) => ({
  "GET jobs": object(job),
  "GET pods": list({
    ...pod,
    spec: { ...pod.spec, containers: [{ name: "main", image }], ...spec },
    status: {
      phase: "Pending",
      conditions: bound("2026-01-01T00:07:00Z"),
      containerStatuses: [creating],
      ...status,
    },
  }),
  "GET nodes": object(node),
  "GET events": events,
  "PATCH jobs": object(job),
});

describe("a run whose machine pulls an image", () => {
  it.each<[string, string | null, readonly object[], PodChanges]>([
    ["its image and since when", words, [pulling(ofMain)], {}],
    [
      "the newest pull",
      words,
      [pulling(ofMain, "2026-01-01T00:01:00Z"), pulling(ofMain), pulling(ofMain, "2026-01-01T00:09:00Z", "another")],
      {},
    ],
    [
      "the operator's image by its setting",
      "Pulling the image of TOOLS_IMAGE since 2026-01-01 00:07 UTC",
      [pulling(ofTools)],
      tools({ waiting: { reason: "PodInitializing" } }),
    ],
    [
      "its own image after the operator's",
      words,
      [pulling(ofTools, "2026-01-01T00:01:00Z"), pulling(ofMain)],
      tools({ terminated: { exitCode: 0 } }),
    ],
    ["nothing once the operator's image has started", null, [pulling(ofTools)], tools({ running: {} })],
    ["nothing of another pod", null, [pulling(ofMain, undefined, "another")], {}],
    ["nothing without an event", null, [], {}],
  ])("shows %s", async (_, reason, events, changes) => {
    const compute = await opened(answers(list(...events), changes));

    expect(await compute.observe(uid, 1)).toMatchObject({ reason, started: false });
  });

  it("is at the step of its image, also while its pod counts as initializing", async () => {
    const changes = tools({ terminated: { exitCode: 0 } });
    const [pulls, pullsNothing] = [list(pulling(ofMain)), list()];

    expect(await (await opened(answers(pulls, changes))).observe(uid, 1)).toMatchObject({ state: "image" });
    expect(await (await opened(answers(pullsNothing, changes))).observe(uid, 1)).toMatchObject({ state: "container" });
  });

  it("keeps its words, and lists the events of all runs once in ten seconds", async () => {
    let at = now;
    const compute = await opened(answers(list(pulling(ofMain))), () => at);
    const reasons: unknown[] = [];

    for (const ms of [0, 9_999, 10_000, 600_000]) {
      at = now + ms;
      reasons.push((await compute.observe(uid, 1))?.reason);
    }

    expect(reasons).toEqual([words, words, words, words]);
    expect(countRequests("GET", "events")).toBe(3);
  });

  it("shows no control characters and at most 300 of its image's name", async () => {
    const spec = { containers: [{ name: "main", image: `a\u001b[2J${"b".repeat(400)}` }] };
    const compute = await opened(answers(list(pulling(ofMain)), { spec }));

    const { reason } = (await compute.observe(uid, 1)) ?? {};

    expect(reason).toMatch(/UTC: a \[2Jb+…$/);
    expect(reason?.split("UTC: ")[1]).toHaveLength(300);
  });

  it("shows why the last pull failed while the next one runs", async () => {
    const waiting = { reason: "ErrImagePull", message: "dial tcp: i/o timeout" };
    const status = { containerStatuses: [{ name: "main", state: { waiting } }] };
    const compute = await opened(answers(list(pulling(ofMain)), { status }));

    expect(await compute.observe(uid, 1)).toMatchObject({
      reason: "The image could not be pulled yet: dial tcp: i/o timeout",
    });
    expect(countRequests("GET", "events")).toBe(0);
  });

  it("shows nothing if events may not be read", async () => {
    const compute = await opened(answers(refused(403, "Forbidden")));

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "image", reason: null });
  });
});

it.each<[string, PodChanges]>([
  ["has had its machine for less than five seconds", { status: { conditions: bound("2026-01-01T00:09:56Z") } }],
  ["waits for a machine", { spec: { nodeName: undefined } }],
  ["runs", { status: { phase: "Running", containerStatuses: [{ name: "main", state: { running: {} } }] } }],
])("events of pulls are not listed for a run that %s", async (_, changes) => {
  const compute = await opened(answers(list(pulling(ofMain)), changes));

  expect((await compute.observe(uid, 1))?.reason).toBeNull();
  expect(countRequests("GET", "events")).toBe(0);
});
