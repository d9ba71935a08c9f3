import { expect, it } from "vitest";
import { answeringCluster, job, list, object, pod, refused, uid } from "../fixtures/answering-cluster-fixture.ts";

const { opened } = answeringCluster();
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
