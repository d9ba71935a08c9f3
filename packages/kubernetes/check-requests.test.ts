import { describe, expect, it } from "vitest";
import type { Removal } from "#core/ports/compute.ts";
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
import { answerJson } from "./fixtures/loopback-fixture.ts";

const { opened, countRequests, requests } = answeringCluster();

describe("the calls of a reconcile", () => {
  const ready = { ...node, status: { conditions: [{ type: "Ready", status: "True" }] } };
  const answers = (seen: object) => ({
    "GET jobs": object(job),
    "GET pods": object({ metadata: { resourceVersion: "1" }, items: [pod] }),
    "GET nodes": object(seen),
    "PATCH jobs": object(job),
  });

  it("read a node that answers at most every two seconds, for all of its runs", async () => {
    let at = now;
    const compute = await opened(answers(ready), () => at);

    for (const ms of [0, 500, 1_999]) {
      at = now + ms;
      await compute.observe(uid, 1);
    }
    const within = countRequests("GET", "nodes");
    at = now + 2_000;
    const seen = await compute.observe(uid, 1);

    expect([within, countRequests("GET", "nodes")]).toEqual([1, 2]);
    expect(seen?.nodes).toMatchObject([{ name: "one", silent: null }]);
  });

  const exited = { name: "main", state: { terminated: { exitCode: 3 } } };
  const conditions = [{ type: "DisruptionTarget", status: "True", reason: "EvictionByEvictionAPI" }];
  const deletedAt = "2026-01-01T00:09:59Z";
  it.each<[string, object, object, number]>([
    ["once where its command ended by itself", { phase: "Failed" }, {}, 1],
    ["each time where its machine was shut down", { phase: "Failed", reason: "Terminated" }, {}, 2],
    ["each time where its pod was evicted", { phase: "Failed", conditions }, { deletionTimestamp: deletedAt }, 2],
  ])("read the node of a run that is over %s", async (_, status, metadata, times) => {
    const over = {
      ...pod,
      metadata: { ...pod.metadata, ...metadata },
      status: { ...status, containerStatuses: [exited] },
    };
    const compute = await opened({ ...answers(ready), "GET pods": list(over) });

    for (const _ of ["once", "twice"]) expect(await compute.observe(uid, 1)).toMatchObject({ state: "ended" });

    expect(countRequests("GET", "nodes")).toBe(times);
  });

  const completed = {
    phase: "Succeeded",
    containerStatuses: [{ name: "main", state: { terminated: { exitCode: 0 } } }],
  };

  it("do not read a run whose command ended until it is removed, and then read it again", async () => {
    const compute = await opened({ ...answers(ready), "GET pods": list({ ...pod, status: completed }) });
    const reads = () => [countRequests("GET", "jobs"), countRequests("GET", "pods")];

    const seen = [await compute.observe(uid, 1), await compute.observe(uid, 1)];
    const before = reads();
    await expect(compute.remove(uid, 1, { graceSeconds: 10, force: false })).rejects.toThrow();
    const again = await compute.observe(uid, 1);

    expect(seen.map((observation) => observation?.exitCode)).toEqual([0, 0]);
    expect(before).toEqual([1, 1]);
    expect(again).toMatchObject({ state: "ended", exitCode: 0 });
    expect(reads()).toEqual([2, 2]);
  });

  it.each<[string, object, object, number]>([
    ["an end is 20 s old", { ...pod, status: completed }, ready, 20_000],
    ["its machine does not answer", { ...pod, status: completed }, node, 0],
    ["its command continues", pod, ready, 0],
    ["the cluster ended it", { ...pod, status: { ...completed, reason: "Evicted" } }, ready, 0],
    ["the end of its command is unknown", { ...pod, status: { phase: "Failed" } }, ready, 0],
  ])("read a run again if %s", async (_, there, on, ms) => {
    let at = now;
    const compute = await opened({ ...answers(on), "GET pods": list(there) }, () => at);

    await compute.observe(uid, 1);
    at += ms;
    await compute.observe(uid, 1);

    expect([countRequests("GET", "jobs"), countRequests("GET", "pods")]).toEqual([2, 2]);
  });

  it.each<[string, object, number]>([
    ["while it lives", pod, 1],
    ["no more once its command is over by itself", { ...pod, status: completed }, 0],
    ["if the end of its command is unknown", { ...pod, status: { phase: "Failed" } }, 1],
  ])("record the machine of a run %s", async (_, there, times) => {
    const compute = await opened({ ...answers(ready), "GET pods": list(there) });

    const seen = await compute.observe(uid, 1);

    expect(seen?.nodes).toMatchObject([{ name: "one", uid: "node-1" }]);
    expect(countRequests("PATCH", "jobs")).toBe(times);
  });

  it("read a run that is being removed again, since the next reconcile may find it gone", async () => {
    const going = { ...job, metadata: { ...job.metadata, deletionTimestamp: deletedAt } };
    const there = { ...answers(ready), "GET jobs": object(going), "GET pods": list({ ...pod, status: completed }) };
    const compute = await opened(there);

    for (const _ of ["once", "twice"]) expect(await compute.observe(uid, 1)).toMatchObject({ terminating: true });

    expect([countRequests("GET", "jobs"), countRequests("GET", "pods")]).toEqual([2, 2]);
  });

  it("read a silent node each time", async () => {
    const compute = await opened(answers(node));

    for (const _ of ["once", "twice"]) await compute.observe(uid, 1);

    expect(countRequests("GET", "nodes")).toBe(2);
  });

  it("do not read the Job of a removed run by its name", async () => {
    const empty = { metadata: { resourceVersion: "1" }, items: [] };
    const compute = await opened({
      "GET jobs": (response, { url = "" }) => answerJson(response, url.includes("/jobs/") ? job : empty),
      "GET pods": object(empty),
      "DELETE jobs": object({}),
      "DELETE undefined": object({}),
    });
    await compute.remove(uid, 1, { graceSeconds: 10, force: false });
    const before = requests().length;

    expect(await compute.observe(uid, 1)).toBeUndefined();

    const paths = requests()
      .slice(before)
      .map(({ url }) => url.split("?")[0]);
    expect(paths).toEqual(["/apis/batch/v1/namespaces/environments/jobs", "/api/v1/namespaces/environments/pods"]);
  });

  const gently: Removal = { graceSeconds: 10, force: false };
  it.each<[string, Answer, Removal]>([
    ["the run lives on", object({}), { ...gently, unlessBound: true }],
    ["its Job could not be deleted", refused(500, "InternalError"), gently],
  ])("read the Job by its name after a removal that failed since %s", async (_, deletion, removal) => {
    const compute = await opened({ ...answers(ready), "DELETE jobs": deletion });
    await compute.observe(uid, 1);
    await expect(compute.remove(uid, 1, removal)).rejects.toThrow();
    const before = requests().length;

    expect(await compute.observe(uid, 1)).toMatchObject({ state: "image" });

    const reads = requests()
      .slice(before)
      .filter(({ method, url }) => method === "GET" && url.includes("/jobs"));
    expect(reads.map(({ url }) => url)).toEqual([`/apis/batch/v1/namespaces/environments/jobs/${uid}-r1`]);
  });
});
