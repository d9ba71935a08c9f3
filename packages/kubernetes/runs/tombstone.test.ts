import { expect, it } from "vitest";
import { answeringCluster, job, list, now, object, pod, refused, uid } from "../fixtures/answering-cluster-fixture.ts";

const { opened, countRequests } = answeringCluster();
const gone = object({});
const nothing = list();
const removal = { graceSeconds: 1, force: false, tombstones: 1 };
const answers = {
  "GET jobs": object(job),
  "DELETE jobs": gone,
  "POST jobs": gone,
  "DELETE pods": gone,
  "GET undefined": nothing,
  "DELETE undefined": refused(404, "NotFound"),
};

it.each([
  ["has its pod", job, [pod], true],
  ["has no pod yet, which its controller may still create", job, [], false],
  [
    "has a pod of another machine alone",
    job,
    [{ ...pod, metadata: { ...pod.metadata, ownerReferences: [{ kind: "Job", name: `${uid}-r1-m1`, uid: "job-2" }] } }],
    false,
  ],
  [
    "has failed and gets no pod any more",
    { ...job, status: { conditions: [{ type: "Failed", status: "True" }] } },
    [],
    true,
  ],
])("reports whether nothing of a run can start any more whose Job %s", async (_, there, pods, isSure) => {
  const compute = await opened({ ...answers, "GET jobs": object(there), "GET pods": list(...pods) });

  expect(await compute.remove(uid, 1, removal)).toBe(isSure);
});

const endedPod = { ...pod, status: { phase: "Succeeded" } };
const finishedAt = new Date(now - 30_000).toISOString();
const finished = {
  ...job,
  status: { conditions: [{ type: "Complete", status: "True", lastTransitionTime: finishedAt }] },
};

it.each([
  ["an ended Job for 77 s from now, although the cluster counts from its end", finished, [endedPod], 107],
  ["a Job whose controller has yet to see its end", job, [endedPod], 77],
])("keeps %s", async (_, there, pods, seconds) => {
  const patches: string[] = [];
  const compute = await opened({
    ...answers,
    "GET jobs": object(there),
    "GET pods": list(...pods),
    "PATCH jobs": (response, request) => {
      request.on("data", (bytes) => patches.push(String(bytes)));
      gone(response, request);
    },
  });

  expect(await compute.remove(uid, 1, removal)).toBe(true);

  const labels = { "berth/uid": null, "berth/run": null, "berth/tombstone": "" };
  const metadata = { uid: "job-1", labels };
  expect(patches.map((text) => JSON.parse(text))).toEqual([
    { metadata, spec: { parallelism: 0, ttlSecondsAfterFinished: seconds } },
  ]);
  expect([countRequests("DELETE", "jobs"), countRequests("POST", "jobs"), countRequests("DELETE", "pods")]).toEqual([
    0, 0, 1,
  ]);
});

it.each([
  ["still runs beside one that has ended", [endedPod, { ...pod, metadata: { ...pod.metadata, name: "other" } }]],
  ["runs", [pod]],
])("deletes a Job of which a pod %s", async (_, pods) => {
  const compute = await opened({ ...answers, "GET pods": list(...pods) });

  await compute.remove(uid, 1, removal);

  expect(countRequests("PATCH", "jobs")).toBe(0);
  expect(countRequests("DELETE", "jobs")).toBe(1);
});
