import type { IncomingMessage } from "node:http";
import { json } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { logText } from "#tests/fixtures/log-text.ts";
import {
  type Answer,
  answeringCluster,
  job,
  list,
  node,
  now,
  object,
  pod,
  refused,
  uid,
} from "./fixtures/answering-cluster-fixture.ts";

const { opened, countRequests, requests } = answeringCluster();

const shares = ["one", "one"].map((name) => ({ node: name, units: 8 }));
const bound = [0, 1].map((index) => ({ index, name: "one", uid: "node-1", providerId: null }));
const jobOfTwo = {
  ...job,
  metadata: {
    ...job.metadata,
    annotations: { "berth/shares": JSON.stringify(shares), "berth/bound": JSON.stringify(bound) },
  },
};

/** Pod of one of several machines, whose supervisor holds the command back. */
function gatedPod(jobName: string) {
  return {
    metadata: {
      ...pod.metadata,
      name: `${jobName}-x`,
      ownerReferences: [{ kind: "Job", name: jobName, uid: "job-1" }],
    },
    spec: { nodeName: "one", containers: [{ command: ["/.berth/supervisor", "run", "--gated"] }] },
    status: { phase: "Running", containerStatuses: [{ name: "main", state: { running: {} }, started: false }] },
  };
}

describe("an observation of a run", () => {
  const bound = { "GET jobs": object(job), "GET pods": list(pod), "GET nodes": object(node) };

  it.each([403, 422])("succeeds although the annotation is refused permanently: %d", async (status) => {
    const compute = await opened({ ...bound, "PATCH jobs": refused(status, "Refused") });

    const seen = await compute.observe(uid, 1);

    expect(seen).toMatchObject({ state: "image", nodes: [{ name: "one", uid: "node-1" }] });
    expect(countRequests("PATCH", "jobs")).toBe(1);
  });

  it("is retried if its machine could not be recorded", async () => {
    const compute = await opened({ ...bound, "PATCH jobs": refused(500, "InternalError") });

    await expect(compute.observe(uid, 1)).rejects.toMatchObject({ status: 500 });
  });

  it("records its machine despite a concurrent change of its Job", async () => {
    const conflict = refused(409, "Conflict");
    const compute = await opened({
      ...bound,
      "PATCH jobs": (...args) => (countRequests("PATCH", "jobs") === 1 ? conflict : object(job))(...args),
    });

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "image" });
    expect(countRequests("PATCH", "jobs")).toBe(2);
  });

  it("writes nothing on another Job of the same name", async () => {
    const another = object({ ...job, metadata: { ...job.metadata, uid: "job-2" } });
    const compute = await opened({
      ...bound,
      "GET jobs": (...args) => (countRequests("PATCH", "jobs") === 0 ? object(job) : another)(...args),
      "PATCH jobs": refused(409, "Conflict"),
    });

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "image" });
    expect(countRequests("PATCH", "jobs")).toBe(1);
  });

  it("succeeds without the right to read why it has no pod", async () => {
    const compute = await opened({ ...bound, "GET pods": list(), "GET events": refused(403, "Forbidden") });

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "unbound", reason: null });
  });

  it("starts no command that waits for all machines of its run, and reports that it waits", async () => {
    const pods = ["", "-m1"].map((machine) => gatedPod(`${uid}-r1${machine}`));
    const compute = await opened({
      "GET jobs": object(jobOfTwo),
      "GET pods": list(...pods),
      "GET nodes": object(node),
    });
    const begun = () => requests().filter(({ url }) => url.includes("/exec?"));

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "container", waitsToBegin: true });
    expect(begun()).toEqual([]);

    await compute.begin(uid, 1);
    expect(begun().map(({ url }) => /pods\/([^/]*)\//.exec(url)?.[1])).toEqual(
      pods.map(({ metadata }) => metadata.name),
    );
  });

  it("starts the command of a machine although that of another one has ended", async () => {
    const [first, second] = [gatedPod(`${uid}-r1`), gatedPod(`${uid}-r1-m1`)];
    const status = {
      phase: "Succeeded",
      containerStatuses: [{ name: "main", state: { terminated: { exitCode: 0 } } }],
    };
    const compute = await opened({
      "GET jobs": object(jobOfTwo),
      "GET pods": list({ ...first, status }, second),
      "GET nodes": object(node),
    });

    await compute.begin(uid, 1);

    const begun = requests().filter(({ url }) => url.includes("/exec?"));
    expect(begun.map(({ url }) => /pods\/([^/]*)\//.exec(url)?.[1])).toEqual([`${uid}-r1-m1-x`]);
  });

  it("starts no command of a run that is being removed", async () => {
    const pods = ["", "-m1"].map((machine) => gatedPod(`${uid}-r1${machine}`));
    const going = { ...jobOfTwo, metadata: { ...jobOfTwo.metadata, deletionTimestamp: "2026-01-01T00:01:00Z" } };
    const compute = await opened({ "GET jobs": object(going), "GET pods": list(...pods), "GET nodes": object(node) });

    expect((await compute.observe(uid, 1))?.waitsToBegin).toBeUndefined();
    await compute.begin(uid, 1);
    expect(requests().filter(({ url }) => url.includes("/exec?"))).toEqual([]);
  });

  const refusal = { reason: "FailedCreate", involvedObject: { uid: "job-1" }, message: "exceeded quota" };
  const podless = { ...bound, "GET pods": list(), "GET events": list(refusal) };

  it("says why it has no pod, with one list of events in 10 s for all runs", async () => {
    let time = now;
    const compute = await opened(podless, () => time);

    const seen = [await compute.observe(uid, 1), await compute.observe(uid, 1)];
    const before = countRequests("GET", "events");
    time += 10_000;
    await compute.observe(uid, 1);

    expect(seen.map((observation) => observation?.reason)).toEqual(["exceeded quota", "exceeded quota"]);
    expect([before, countRequests("GET", "events")]).toEqual([1, 2]);
  });

  it("takes two lists for a missing run, each as of now", async () => {
    const listed = ({ url = "" }: IncomingMessage) => url.includes("labelSelector=");
    const jobs: Answer = (response, request) =>
      (listed(request) ? list() : refused(404, "NotFound"))(response, request);
    const compute = await opened({ "GET jobs": jobs, "GET pods": list() });

    expect(await compute.observe(uid, 1)).toBeUndefined();
    const kinds = requests().map(({ url }) => /\/(jobs|pods)(\?|\/)/.exec(url)?.[0]);
    expect(kinds).toEqual(["/jobs/", "/jobs?", "/pods?"]);
  });

  it("does not ask why a new run has no pod", async () => {
    const compute = await opened(podless, () => Date.parse(job.metadata.creationTimestamp) + 4_000);

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "unbound", reason: null });
    expect(countRequests("GET", "events")).toBe(0);
  });
});

describe("a reconcile that ends a run", () => {
  const there = {
    "GET jobs": object(job),
    "GET pods": (response, { url = "" }) =>
      url.includes("/log?") ? response.end("hello") : list(pod)(response, {} as IncomingMessage),
    "GET nodes": object(node),
    "PATCH jobs": object(job),
    "DELETE jobs": object({}),
  } satisfies Record<string, Answer>;
  const removal = { graceSeconds: 10, force: false };

  it("reads it once for all its calls, and the next one again", async () => {
    const compute = await opened(there);

    await compute.observe(uid, 1);
    const log = await logText(compute.readLog(uid, 1));
    await compute.remove(uid, 1, removal);
    const counts = [countRequests("GET", "jobs"), countRequests("GET", "pods?"), countRequests("DELETE", "jobs")];
    await compute.remove(uid, 1, removal);

    expect([log, ...counts]).toEqual(["hello", 1, 1, 1]);
    expect([countRequests("GET", "jobs"), countRequests("GET", "pods?")]).toEqual([2, 2]);
  });

  it("reads it again before a forced removal", async () => {
    const compute = await opened({ ...there, "DELETE pods": object({}) });

    await compute.observe(uid, 1);
    await compute.remove(uid, 1, { ...removal, force: true });

    expect([countRequests("GET", "jobs"), countRequests("GET", "pods?")]).toEqual([2, 2]);
  });
});

describe("an extension of a run", () => {
  const living = { "GET jobs": object(job), "GET pods": list(pod) };

  it("succeeds despite a concurrent change of its Job", async () => {
    const conflict = refused(409, "Conflict");
    const compute = await opened({
      ...living,
      "PATCH jobs": (...args) => (countRequests("PATCH", "jobs") === 1 ? conflict : object(job))(...args),
    });

    await compute.extend(uid, 1, now + 3_600_000);

    expect(countRequests("PATCH", "jobs")).toBe(2);
  });

  it("throws if the conflict continues", async () => {
    const compute = await opened({ ...living, "PATCH jobs": refused(409, "Conflict") });

    await expect(compute.extend(uid, 1, now)).rejects.toMatchObject({ code: "Conflict" });
    expect(countRequests("PATCH", "jobs")).toBe(3);
  });
});

describe("the list of runs", () => {
  it("reads only metadata: a Job may have a command of 16 KiB", async () => {
    const accepted: unknown[] = [];
    const listing =
      (item: object): Answer =>
      (response, { headers }) => {
        accepted.push(headers.accept);
        list(item)(response, {} as IncomingMessage);
      };
    const compute = await opened({ "GET jobs": listing(job), "GET pods": listing(pod) });

    expect(await compute.listRuns()).toEqual([{ uid, run: 1, key: "" }]);
    const metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    expect(accepted).toEqual([metadataOnly, metadataOnly]);
  });
});

describe("a resize", () => {
  it.each([
    ["keeps the limit of processors equal to the request", { cpu: "1" }, { cpu: "2000m", memory: "4096Mi" }],
    ["gives a pod without a limit of processors none", {}, { memory: "4096Mi" }],
  ])("%s", async (_, cpu, limits) => {
    const main = { name: "main", resources: { requests: { cpu: "1" }, limits: { ...cpu, memory: "1Gi" } } };
    const patched: Promise<unknown>[] = [];
    const compute = await opened({
      "GET jobs": object(job),
      "GET pods": list({ ...pod, spec: { ...pod.spec, containers: [main] } }),
      "PATCH jobs": object(job),
      "PATCH pods": (response, request) => {
        patched.push(json(request));
        object(pod)(response, request);
      },
    });

    await compute.resize(uid, 1, { cpus: 2, memoryMb: 4096 }, 1);

    const resources = { requests: { cpu: "2000m", memory: "4096Mi" }, limits };
    expect(await Promise.all(patched)).toMatchObject([{ spec: { containers: [{ name: "main", resources }] } }]);
    expect(await patched[0]).toHaveProperty("spec.containers.0.resources.limits", limits);
  });
});

describe("a removal of a living run", () => {
  it.each([
    ["leaves a pod to the garbage collector if its own grace period is short enough", 10, 0],
    ["ends a pod itself that would take longer", 600, 1],
  ])("%s", async (_, terminationGracePeriodSeconds, deletions) => {
    const compute = await opened({
      "GET jobs": object(job),
      "GET pods": list({ ...pod, spec: { ...pod.spec, terminationGracePeriodSeconds } }),
      "DELETE jobs": object({}),
      "DELETE pods": object({}),
      "DELETE undefined": object({}),
    });

    await compute.remove(uid, 1, { graceSeconds: 60, force: false });

    expect(countRequests("DELETE", "jobs")).toBe(1);
    expect(countRequests("DELETE", "pods")).toBe(deletions);
  });
});
