import { expect, it } from "vitest";
import type { ApiClient } from "./api-client.ts";
import { annotation, label, nameOfRun } from "./names.ts";
import type { Job, Pod } from "./objects.ts";
import { pathsOf } from "./paths.ts";
import { readRun } from "./read-run.ts";

const id = { uid: "a".repeat(32), run: 1 };
const paths = pathsOf("environments");
const node = { index: 0, name: "one", uid: "node-1", providerId: null };
const late = { type: "Failed", status: "True", reason: "DeadlineExceeded" };

function jobOf(conditions: readonly object[], metadata = {}): Job {
  const annotations = { [annotation.bound]: JSON.stringify([node]) };
  return {
    metadata: { name: nameOfRun(id), annotations, ...metadata },
    spec: {},
    status: { conditions },
  } as unknown as Job;
}

/** Answers the run's Job as it is each time it is read, the last one from then on, and lists these pods. */
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

it("reads a Job again whose pod went after the Job was read, since it tells why", async () => {
  const { place } = opened([jobOf([]), jobOf([late])], []);

  const { jobs } = await readRun(place, id);

  expect(jobs.map((job) => job?.status?.conditions)).toEqual([[late]]);
});

it("sees that a Job is gone which was deleted with its pod after it was read", async () => {
  const { place } = opened([jobOf([]), undefined], []);

  expect(await readRun(place, id)).toEqual({ jobs: [undefined], pods: [] });
});

it("reads a Job once whose pod is there, whose pod was never bound, or which says why its pod is gone", async () => {
  const labels = { [label.uid]: id.uid, [label.run]: "1" };
  const ownerReferences = [{ kind: "Job", name: nameOfRun(id) }];
  const metadata = { name: `${nameOfRun(id)}-x7x7x`, labels, ownerReferences };
  const pod = { metadata, spec: {}, status: {} } as unknown as Pod;
  const seen = [opened([jobOf([])], [pod]), opened([jobOf([], { annotations: {} })], []), opened([jobOf([late])], [])];
  for (const { place } of seen) await readRun(place, id);

  expect(seen.map(({ reads }) => reads())).toEqual([1, 1, 1]);
});
