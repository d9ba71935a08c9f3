import { describe, expect, it } from "vitest";
import type { ApiClient } from "../client/api-client.ts";
import { ApiRefused } from "../client/api-error.ts";
import { annotation, label, nameOfRun } from "../names.ts";
import type { Job, Pod } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import { knownPods } from "../watch/run-caches.ts";
import { readRun, readRunBriefly } from "./read-run.ts";

const id = { uid: "a".repeat(32), run: 1 };
const paths = buildPaths("environments");
const node = { index: 0, name: "one", uid: "node-1", providerId: null };
const late = { type: "Failed", status: "True", reason: "DeadlineExceeded" };

function getJob(conditions: readonly object[], metadata = {}): Job {
  const annotations = { [annotation.bound]: JSON.stringify([node]) };
  return {
    metadata: { name: nameOfRun(id), annotations, ...metadata },
    spec: {},
    status: { conditions },
  } as unknown as Job;
}

/** Serves these versions of the run's Job, the last one repeatedly, and lists these pods. */
function opened(jobs: readonly (Job | undefined)[], pods: readonly Pod[]) {
  let reads = 0;
  const client: Pick<ApiClient, "find" | "list" | "deadline"> = {
    deadline: () => new AbortController().signal,
    find: async <Body>() => jobs[Math.min(reads++, jobs.length - 1)] as Body,
    list: async <Item, Kept>(_: string, keep: (item: Item) => readonly Kept[]) => ({
      items: pods.flatMap((pod) => keep(pod as Item)),
      resourceVersion: "1",
    }),
  };
  return { place: { client: client as ApiClient, paths, deployment: "one" }, reads: () => reads };
}

it("reads a Job again whose pod disappeared in between, because the Job says why", async () => {
  const { place } = opened([getJob([]), getJob([late])], []);

  const { jobs } = await readRun(place, id);

  expect(jobs.map((job) => job?.status?.conditions)).toEqual([[late]]);
});

it("notices that a Job is gone which was deleted with its pod after it was read", async () => {
  const { place } = opened([getJob([]), undefined], []);

  expect(await readRun(place, id)).toEqual({ jobs: [undefined], pods: [] });
});

it("reads a Job once if its pod exists, was never bound, or if it says why its pod is gone", async () => {
  const labels = { [label.uid]: id.uid, [label.run]: "1" };
  const ownerReferences = [{ kind: "Job", name: nameOfRun(id) }];
  const metadata = { name: `${nameOfRun(id)}-x7x7x`, labels, ownerReferences };
  const pod = { metadata, spec: {}, status: {} } as unknown as Pod;
  const seen = [
    opened([getJob([])], [pod]),
    opened([getJob([], { annotations: {} })], []),
    opened([getJob([late])], []),
  ];
  for (const { place } of seen) await readRun(place, id);

  expect(seen.map(({ reads }) => reads())).toEqual([1, 1, 1]);
});

describe("a brief read of a run with a known pod", () => {
  const name = `${nameOfRun(id)}-x7x7x`;
  const ownerReferences = [{ kind: "Job", name: nameOfRun(id), uid: "job-1" }];
  const labels = { [label.uid]: id.uid, [label.run]: "1" };
  const metadata = { name, labels, ownerReferences };
  const buildPod = (status: object, more: object = {}): Pod =>
    ({ metadata: { ...metadata, ...more }, spec: { nodeName: "one" }, status }) as unknown as Pod;
  const running = buildPod({ phase: "Running" });
  const listed = buildPod({ phase: "Running", podIP: "10.0.0.1" });
  const job = getJob([], { uid: "job-1" });

  /** Returns the result and the calls, with this answer to the pod's name. */
  async function read(pod: Pod | Error | undefined, { names = [name], of = job, isProbablyGone = false } = {}) {
    const requests: string[] = [];
    const client: Pick<ApiClient, "find" | "list"> = {
      async find<Body>(path: string) {
        const isJob = path.startsWith(paths.jobs);
        requests.push(isJob ? "find job" : "find pod");
        if (isJob) return of as Body;
        if (pod instanceof Error) throw pod;
        return pod as Body;
      },
      async list<Item, Kept>(path: string, keep: (item: Item) => readonly Kept[]) {
        const isJobs = path.startsWith(paths.jobs);
        requests.push(isJobs ? "list jobs" : "list pods");
        return { items: keep((isJobs ? of : listed) as Item), resourceVersion: "1" };
      },
    };
    const known = knownPods();
    for (const name of names) known.add(id, name);
    const place = { client: client as ApiClient, paths, deployment: "one", known };
    const { pods } = await readRunBriefly(place, id, isProbablyGone);
    return { requests, pods };
  }

  it.each<[string, Pod]>([
    ["runs", running],
    ["has ended by itself", buildPod({ phase: "Succeeded" })],
    ["has failed by itself", buildPod({ phase: "Failed" })],
  ])("reads a pod that %s by its name, after its Job", async (_, pod) => {
    expect(await read(pod)).toEqual({ requests: ["find job", "find pod"], pods: [pod] });
  });

  it.each<[string, Pod | Error | undefined]>([
    ["is gone", undefined],
    ["is being deleted", buildPod({ phase: "Running" }, { deletionTimestamp: "2026-01-01T00:00:00Z" })],
    ["was evicted", buildPod({ phase: "Failed", reason: "Evicted" })],
    ["is that of an earlier Job", buildPod({ phase: "Running" }, { ownerReferences: [{ kind: "Job", uid: "job-0" }] })],
    ["may not be read", new ApiRefused("GET", 403, { reason: "Forbidden" })],
  ])("lists the pods if the known one %s", async (_, pod) => {
    expect(await read(pod)).toEqual({ requests: ["find job", "find pod", "list pods"], pods: [listed] });
  });

  const shares = JSON.stringify([node, node].map(() => ({ node: "one", units: 8 })));
  const ofTwo = getJob([], { uid: "job-1", annotations: { [annotation.shares]: shares } });
  it.each<[string, Parameters<typeof read>[1], string[]]>([
    ["none was shown", { names: [] }, ["find job", "list pods"]],
    ["several were shown", { names: [name, "other"] }, ["find job", "list pods"]],
    ["it has several machines", { of: ofTwo }, ["find job", "list pods", "find job"]],
    ["it is probably gone", { isProbablyGone: true }, ["list jobs", "list pods"]],
  ])("lists the pods of a run if %s", async (_, seen, names) => {
    expect(await read(running, seen)).toEqual({ requests: names, pods: [listed] });
  });

  it("fails if the API server does not say whether the pod exists", async () => {
    await expect(read(new ApiRefused("GET", 500, {}))).rejects.toMatchObject({ status: 500 });
  });
});
