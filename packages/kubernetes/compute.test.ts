import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Removal } from "#core/ports/compute.ts";
import { recordingLog } from "#testing/log.ts";
import { type ApiClient, apiClient } from "./api-client.ts";
import { kubernetesCompute } from "./compute.ts";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "./loopback-fixture.ts";

const uid = "a".repeat(32);
const now = Date.parse("2026-01-01T00:10:00Z");
let server: LoopbackServer;
let client: ApiClient;
let log: ReturnType<typeof recordingLog>;

beforeEach(() => {
  log = recordingLog();
});

afterEach(async () => {
  client.close();
  await server.close();
});

const job = {
  metadata: {
    name: `${uid}-r1`,
    uid: "job-1",
    creationTimestamp: "2026-01-01T00:00:00Z",
    labels: { "berth/uid": uid, "berth/run": "1" },
  },
  status: { startTime: "2026-01-01T00:00:00Z" },
};
const pod = {
  metadata: {
    ...job.metadata,
    name: `${uid}-r1-x`,
    ownerReferences: [{ kind: "Job", name: `${uid}-r1`, uid: "job-1" }],
  },
  spec: { nodeName: "one" },
  status: { phase: "Running" },
};
const node = { metadata: { name: "one", uid: "node-1", creationTimestamp: "2025-01-01T00:00:00Z" }, spec: {} };

const shares = ["one", "one"].map((name) => ({ node: name, units: 8 }));
const bound = [0, 1].map((index) => ({ index, name: "one", uid: "node-1", providerId: null }));
const jobOfTwo = {
  ...job,
  metadata: {
    ...job.metadata,
    annotations: { "berth/shares": JSON.stringify(shares), "berth/bound": JSON.stringify(bound) },
  },
};

/** The pod of one of several machines: its supervisor runs, and holds the command back. */
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

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

/** A cluster with that Job, by what answers each request: its method and the kind of what it is for. */
async function opened(answers: Readonly<Record<string, Answer>>, at = () => now) {
  server = await loopbackServer((request, response) => {
    const [path = ""] = (request.url ?? "").split("?");
    const kind = /\/(jobs|pods|nodes|events)(\/|$)/.exec(path)?.[1];
    const answer = answers[`${request.method} ${kind}`];
    if (!answer) return refuse(response, 500, "NobodyAnswers", path);
    answer(response, request);
  });
  client = apiClient(server.access);
  const machineOf = async () => "unknown" as const;
  return kubernetesCompute({ client, namespace: "environments", deployment: "one", now: at, machineOf, log });
}

const asked = (method: string, kind: string) =>
  server.requests.filter((one) => one.method === method && one.url.includes(`/${kind}`)).length;
const object =
  (body: object): Answer =>
  (response) =>
    answerJson(response, body);
const list = (...items: readonly object[]) => object({ metadata: { resourceVersion: "1" }, items });
const refused =
  (status: number, reason: string): Answer =>
  (response) =>
    refuse(response, status, reason);
describe("a look at a run", () => {
  const bound = { "GET jobs": object(job), "GET pods": list(pod), "GET nodes": object(node) };

  it.each([403, 422])("shows it though what is written beside it is refused for good: %d", async (status) => {
    const compute = await opened({ ...bound, "PATCH jobs": refused(status, "Refused") });

    const seen = await compute.observe(uid, 1);

    expect(seen).toMatchObject({ state: "image", nodes: [{ name: "one", uid: "node-1" }] });
    expect(asked("PATCH", "jobs")).toBe(1);
  });

  it("is repeated where it could not be written which machine it is on", async () => {
    const compute = await opened({ ...bound, "PATCH jobs": refused(500, "InternalError") });

    await expect(compute.observe(uid, 1)).rejects.toMatchObject({ status: 500 });
  });

  it("writes down which machine it is on though its Job is changed just then", async () => {
    const conflict = refused(409, "Conflict");
    const compute = await opened({
      ...bound,
      "PATCH jobs": (...args) => (asked("PATCH", "jobs") === 1 ? conflict : object(job))(...args),
    });

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "image" });
    expect(asked("PATCH", "jobs")).toBe(2);
  });

  it("writes nothing on the Job of another that has its name by now", async () => {
    const another = object({ ...job, metadata: { ...job.metadata, uid: "job-2" } });
    const compute = await opened({
      ...bound,
      "GET jobs": (...args) => (asked("PATCH", "jobs") === 0 ? object(job) : another)(...args),
      "PATCH jobs": refused(409, "Conflict"),
    });

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "image" });
    expect(asked("PATCH", "jobs")).toBe(1);
  });

  it("shows it though nobody may read why it has no pod", async () => {
    const compute = await opened({ ...bound, "GET pods": list(), "GET events": refused(403, "Forbidden") });

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "unbound", reason: null });
  });

  it("lets no command begin that waits for all machines of its run, and says that it waits", async () => {
    const pods = ["", "-m1"].map((machine) => gatedPod(`${uid}-r1${machine}`));
    const compute = await opened({
      "GET jobs": object(jobOfTwo),
      "GET pods": list(...pods),
      "GET nodes": object(node),
    });
    const begun = () => server.requests.filter(({ url }) => url.includes("/exec?"));

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "container", waitsToBegin: true });
    expect(begun()).toEqual([]);

    await compute.begin(uid, 1);
    expect(begun().map(({ url }) => /pods\/([^/]*)\//.exec(url)?.[1])).toEqual(
      pods.map(({ metadata }) => metadata.name),
    );
  });

  it("lets the command of a machine begin also where that of another one is over already", async () => {
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

    const begun = server.requests.filter(({ url }) => url.includes("/exec?"));
    expect(begun.map(({ url }) => /pods\/([^/]*)\//.exec(url)?.[1])).toEqual([`${uid}-r1-m1-x`]);
  });

  it("lets no command begin of a run that is being removed", async () => {
    const pods = ["", "-m1"].map((machine) => gatedPod(`${uid}-r1${machine}`));
    const going = { ...jobOfTwo, metadata: { ...jobOfTwo.metadata, deletionTimestamp: "2026-01-01T00:01:00Z" } };
    const compute = await opened({ "GET jobs": object(going), "GET pods": list(...pods), "GET nodes": object(node) });

    expect((await compute.observe(uid, 1))?.waitsToBegin).toBeUndefined();
    await compute.begin(uid, 1);
    expect(server.requests.filter(({ url }) => url.includes("/exec?"))).toEqual([]);
  });

  const refusal = { reason: "FailedCreate", involvedObject: { uid: "job-1" }, message: "exceeded quota" };
  const podless = { ...bound, "GET pods": list(), "GET events": list(refusal) };

  it("says why it has no pod, and asks that no more often than for all runs in 10 s", async () => {
    let time = now;
    const compute = await opened(podless, () => time);

    const seen = [await compute.observe(uid, 1), await compute.observe(uid, 1)];
    const before = asked("GET", "events");
    time += 10_000;
    await compute.observe(uid, 1);

    expect(seen.map((one) => one?.reason)).toEqual(["exceeded quota", "exceeded quota"]);
    expect([before, asked("GET", "events")]).toEqual([1, 2]);
  });

  it("takes two listings where nothing is there: each waits for what others wrote meanwhile", async () => {
    const listed = ({ url = "" }: IncomingMessage) => url.includes("labelSelector=");
    const jobs: Answer = (response, request) =>
      (listed(request) ? list() : refused(404, "NotFound"))(response, request);
    const compute = await opened({ "GET jobs": jobs, "GET pods": list() });

    expect(await compute.observe(uid, 1)).toBeUndefined();
    const kinds = server.requests.map(({ url }) => /\/(jobs|pods)(\?|\/)/.exec(url)?.[0]);
    expect(kinds).toEqual(["/jobs/", "/jobs?", "/pods?"]);
  });

  it("does not ask why a run has no pod that was only just made", async () => {
    const compute = await opened(podless, () => Date.parse(job.metadata.creationTimestamp) + 4_000);

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "unbound", reason: null });
    expect(asked("GET", "events")).toBe(0);
  });
});

describe("a look that ends a run", () => {
  const there = {
    "GET jobs": object(job),
    "GET pods": (response, { url = "" }) =>
      url.includes("/log?") ? response.end("hello") : list(pod)(response, {} as IncomingMessage),
    "GET nodes": object(node),
    "PATCH jobs": object(job),
    "DELETE jobs": object({}),
  } satisfies Record<string, Answer>;
  const removal = { graceSeconds: 10, force: false };

  it("reads it once for all that it does, and the next one again", async () => {
    const compute = await opened(there);

    await compute.observe(uid, 1);
    const log = await compute.readLog(uid, 1);
    await compute.remove(uid, 1, removal);
    const counts = [asked("GET", "jobs"), asked("GET", "pods?"), asked("DELETE", "jobs")];
    await compute.remove(uid, 1, removal);

    expect([log, ...counts]).toEqual(["hello", 1, 1, 1]);
    expect([asked("GET", "jobs"), asked("GET", "pods?")]).toEqual([2, 2]);
  });

  it("reads it again before anything is taken away by force", async () => {
    const compute = await opened({ ...there, "DELETE pods": object({}) });

    await compute.observe(uid, 1);
    await compute.remove(uid, 1, { ...removal, force: true });

    expect([asked("GET", "jobs"), asked("GET", "pods?")]).toEqual([2, 2]);
  });
});

describe("a run that is given more time", () => {
  const living = { "GET jobs": object(job), "GET pods": list(pod) };

  it("has it also where somebody else changed its Job at that moment", async () => {
    const conflict = refused(409, "Conflict");
    const compute = await opened({
      ...living,
      "PATCH jobs": (...args) => (asked("PATCH", "jobs") === 1 ? conflict : object(job))(...args),
    });

    await compute.extend(uid, 1, now + 3_600_000);

    expect(asked("PATCH", "jobs")).toBe(2);
  });

  it("throws where that goes on", async () => {
    const compute = await opened({ ...living, "PATCH jobs": refused(409, "Conflict") });

    await expect(compute.extend(uid, 1, now)).rejects.toMatchObject({ code: "Conflict" });
    expect(asked("PATCH", "jobs")).toBe(3);
  });
});

describe("the list of runs", () => {
  it("is of their metadata: a Job may have a command of 16 KiB", async () => {
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

describe("what a look asks for", () => {
  const ready = { ...node, status: { conditions: [{ type: "Ready", status: "True" }] } };
  const answers = (seen: object) => ({
    "GET jobs": object(job),
    "GET pods": object({ metadata: { resourceVersion: "1" }, items: [pod] }),
    "GET nodes": object(seen),
    "PATCH jobs": object(job),
  });

  it("reads a node that answers at most every two seconds, for all of its runs", async () => {
    let at = now;
    const compute = await opened(answers(ready), () => at);

    for (const ms of [0, 500, 1_999]) {
      at = now + ms;
      await compute.observe(uid, 1);
    }
    const within = asked("GET", "nodes");
    at = now + 2_000;
    const seen = await compute.observe(uid, 1);

    expect([within, asked("GET", "nodes")]).toEqual([1, 2]);
    expect(seen?.nodes).toMatchObject([{ name: "one", silent: null }]);
  });

  const exited = { name: "main", state: { terminated: { exitCode: 3 } } };
  const conditions = [{ type: "DisruptionTarget", status: "True", reason: "EvictionByEvictionAPI" }];
  const deletedAt = "2026-01-01T00:09:59Z";
  it.each<[string, object, object, number]>([
    ["once where its command ended by itself", { phase: "Failed" }, {}, 1],
    ["each time where its machine was shut down", { phase: "Failed", reason: "Terminated" }, {}, 2],
    ["each time where its pod was evicted", { phase: "Failed", conditions }, { deletionTimestamp: deletedAt }, 2],
  ])("reads the node of a run that is over %s", async (_, status, metadata, times) => {
    const over = {
      ...pod,
      metadata: { ...pod.metadata, ...metadata },
      status: { ...status, containerStatuses: [exited] },
    };
    const compute = await opened({ ...answers(ready), "GET pods": list(over) });

    for (const _ of ["once", "twice"]) expect(await compute.observe(uid, 1)).toMatchObject({ state: "ended" });

    expect(asked("GET", "nodes")).toBe(times);
  });

  const completed = {
    phase: "Succeeded",
    containerStatuses: [{ name: "main", state: { terminated: { exitCode: 0 } } }],
  };

  it("reads a run whose command ended by itself no more until it is removed, and then anew", async () => {
    const compute = await opened({ ...answers(ready), "GET pods": list({ ...pod, status: completed }) });
    const reads = () => [asked("GET", "jobs"), asked("GET", "pods")];

    const seen = [await compute.observe(uid, 1), await compute.observe(uid, 1)];
    const before = reads();
    await expect(compute.remove(uid, 1, { graceSeconds: 10, force: false })).rejects.toThrow();
    const again = await compute.observe(uid, 1);

    expect(seen.map((one) => one?.exitCode)).toEqual([0, 0]);
    expect(before).toEqual([1, 1]);
    expect(again).toMatchObject({ state: "ended", exitCode: 0 });
    expect(reads()).toEqual([2, 2]);
  });

  it.each<[string, object, object, number]>([
    ["an end is 20 s old", { ...pod, status: completed }, ready, 20_000],
    ["its machine does not answer", { ...pod, status: completed }, node, 0],
    ["its command goes on", pod, ready, 0],
    ["the cluster ended it", { ...pod, status: { ...completed, reason: "Evicted" } }, ready, 0],
    ["nobody knows how its command ended", { ...pod, status: { phase: "Failed" } }, ready, 0],
  ])("reads a run again where %s", async (_, there, on, ms) => {
    let at = now;
    const compute = await opened({ ...answers(on), "GET pods": list(there) }, () => at);

    await compute.observe(uid, 1);
    at += ms;
    await compute.observe(uid, 1);

    expect([asked("GET", "jobs"), asked("GET", "pods")]).toEqual([2, 2]);
  });

  it.each<[string, object, number]>([
    ["while it lives", pod, 1],
    ["no more once its command is over by itself", { ...pod, status: completed }, 0],
    ["where nobody knows how its command ended", { ...pod, status: { phase: "Failed" } }, 1],
  ])("writes down the machine of a run %s", async (_, there, times) => {
    const compute = await opened({ ...answers(ready), "GET pods": list(there) });

    const seen = await compute.observe(uid, 1);

    expect(seen?.nodes).toMatchObject([{ name: "one", uid: "node-1" }]);
    expect(asked("PATCH", "jobs")).toBe(times);
  });

  it("reads a run that is being removed again, since the next look may find it gone", async () => {
    const going = { ...job, metadata: { ...job.metadata, deletionTimestamp: deletedAt } };
    const there = { ...answers(ready), "GET jobs": object(going), "GET pods": list({ ...pod, status: completed }) };
    const compute = await opened(there);

    for (const _ of ["once", "twice"]) expect(await compute.observe(uid, 1)).toMatchObject({ terminating: true });

    expect([asked("GET", "jobs"), asked("GET", "pods")]).toEqual([2, 2]);
  });

  it("reads a node that does not answer each time", async () => {
    const compute = await opened(answers(node));

    for (const _ of ["once", "twice"]) await compute.observe(uid, 1);

    expect(asked("GET", "nodes")).toBe(2);
  });

  it("does not ask for the Job of a removed run by its name", async () => {
    const empty = { metadata: { resourceVersion: "1" }, items: [] };
    const compute = await opened({
      "GET jobs": (response, { url = "" }) => answerJson(response, url.includes("/jobs/") ? job : empty),
      "GET pods": object(empty),
      "DELETE jobs": object({}),
      "DELETE undefined": object({}),
    });
    await compute.remove(uid, 1, { graceSeconds: 10, force: false });
    const before = server.requests.length;

    expect(await compute.observe(uid, 1)).toBeUndefined();

    const paths = server.requests.slice(before).map(({ url }) => url.split("?")[0]);
    expect(paths).toEqual(["/apis/batch/v1/namespaces/environments/jobs", "/api/v1/namespaces/environments/pods"]);
  });

  const gently: Removal = { graceSeconds: 10, force: false };
  it.each<[string, Answer, Removal]>([
    ["the run lives on", object({}), { ...gently, unlessBound: true }],
    ["its Job could not be deleted", refused(500, "InternalError"), gently],
  ])("asks for the Job by its name after a removal that failed since %s", async (_, deletion, removal) => {
    const compute = await opened({ ...answers(ready), "DELETE jobs": deletion });
    await compute.observe(uid, 1);
    await expect(compute.remove(uid, 1, removal)).rejects.toThrow();
    const before = server.requests.length;

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "image" });

    const reads = server.requests.slice(before).filter(({ method, url }) => method === "GET" && url.includes("/jobs"));
    expect(reads.map(({ url }) => url)).toEqual([`/apis/batch/v1/namespaces/environments/jobs/${uid}-r1`]);
  });
});

describe("a control plane with old rights", () => {
  /** Of an upgraded control plane, before deploy/kubernetes is applied anew. */
  const lacking = /\/(persistentvolumeclaims|persistentvolumes|secrets|services|networkpolicies|ingresses)/;
  const nothing = object({ metadata: { resourceVersion: "1" }, items: [] });
  const noRight = 'secrets is forbidden: User "berth" cannot list resource "secrets" in API group ""';
  const openWithFew = async (said = noRight) => {
    const refused: Answer = (response, { url = "" }) =>
      lacking.test(url) ? refuse(response, 403, "Forbidden", said) : nothing(response, {} as IncomingMessage);
    return opened({
      "GET jobs": (response, { url = "" }) =>
        url.includes("/jobs/") ? refuse(response, 404, "NotFound") : answerJson(response, noItems),
      "GET pods": (response) => answerJson(response, noItems),
      "GET undefined": refused,
      "DELETE undefined": refused,
    });
  };
  const noItems = { metadata: { resourceVersion: "1" }, items: [] };

  it("ends a run all the same, and the log says which rights are missing", async () => {
    const compute = await openWithFew();

    await compute.remove(uid, 1, { graceSeconds: 1, force: false });

    expect(log.lines.map(({ event, fields }) => [event, fields.refused])).toContainEqual([
      "a right on the cluster is missing: apply deploy/kubernetes anew",
      "GET /api/v1/persistentvolumes: 403 Forbidden",
    ]);
  });

  it("does not let what is left of a run pass for removed, once the rest of it is asked to go", async () => {
    const compute = await openWithFew();

    const removal = compute.remove(uid, 1, { graceSeconds: 0, force: false, leftovers: true });

    await expect(removal).rejects.toThrow(/^DELETE .*: 403 Forbidden$/);
    const deleted = server.requests.filter(({ method }) => method === "DELETE").map(({ url }) => url.split("/").at(-2));
    expect(deleted).toEqual(expect.arrayContaining(["secrets", "services", "networkpolicies", "ingresses"]));
  });

  it("tells once of each kind of call that is refused, however many runs are removed", async () => {
    const compute = await openWithFew();

    for (const run of [1, 2, 3]) await compute.remove(uid, run, { graceSeconds: 1, force: false });

    const refused = log.lines.map(({ fields }) => String(fields.refused));
    expect(refused.filter((call) => call.startsWith("DELETE") && call.includes("/services/"))).toHaveLength(1);
    expect(refused.filter((call) => call.includes("/persistentvolumes"))).toHaveLength(1);
  });

  it("tells again of a right that was given and is missing again", async () => {
    let isGiven = false;
    const answer: Answer = (response, { url = "" }) =>
      isGiven || !lacking.test(url)
        ? nothing(response, {} as IncomingMessage)
        : refuse(response, 403, "Forbidden", noRight);
    const compute = await opened({ "GET undefined": answer, "GET jobs": nothing });
    const count = () => log.lines.filter(({ fields }) => String(fields.refused).includes("/persistentvolumes:")).length;
    const counts: number[] = [];

    for (const given of [false, false, true, false, false]) {
      isGiven = given;
      await compute.listParts();
      counts.push(count());
    }

    expect(counts).toEqual([1, 1, 1, 2, 2]);
  });

  it("tells once of a policy that refuses one object and lets others go, and again once it let that one go", async () => {
    const said = 'admission webhook "keep.example" denied the request: keep it';
    let keeps: string | undefined = "-r1";
    const policy: Answer = (response, { method, url = "" }) =>
      method === "DELETE" && /\/secrets\//.test(url) && keeps !== undefined && url.includes(keeps)
        ? refuse(response, 403, "Forbidden", said)
        : nothing(response, {} as IncomingMessage);
    const compute = await opened({
      "GET jobs": (response, { url = "" }) =>
        url.includes("/jobs/") ? refuse(response, 404, "NotFound") : answerJson(response, noItems),
      "GET pods": (response) => answerJson(response, noItems),
      "GET undefined": policy,
      "DELETE undefined": policy,
    });
    const counts: number[] = [];

    for (const [kept, run] of [
      ["-r1", 1],
      ["-r1", 2],
      ["-r1", 1],
      [undefined, 1],
      ["-r1", 1],
    ] as const) {
      keeps = kept;
      await compute.remove(uid, run, { graceSeconds: 1, force: false });
      counts.push(log.lines.length);
    }

    expect(counts).toEqual([1, 1, 1, 1, 2]);
  });

  it("tells in the server's words what an admission policy refuses, and of no missing right", async () => {
    const said = `admission webhook "keep.example" denied the request: ${"keep it ".repeat(100)}`;
    const compute = await openWithFew(said);

    await compute.remove(uid, 1, { graceSeconds: 1, force: false });

    expect(log.lines).not.toEqual([]);
    for (const { event, fields } of log.lines) {
      expect([event, fields.said]).toEqual(["the cluster refuses a call", said.slice(0, 300)]);
    }
  });

  it("lists what is left of runs, as far as its rights go", async () => {
    const compute = await openWithFew();

    const parts = await compute.listParts();

    expect(parts).toEqual([]);
    const refused = log.lines.map(({ fields }) => String(fields.refused).replace(/.*\//, ""));
    expect(refused).toContain("secrets: 403 Forbidden");
    expect(refused).toContain("persistentvolumeclaims: 403 Forbidden");
  });
});
