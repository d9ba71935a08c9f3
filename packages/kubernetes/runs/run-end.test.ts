import { describe, expect, it } from "vitest";
import type { Job, Pod } from "../objects.ts";
import { toMachineStatus } from "../status/machine-status.ts";
import { endOfRun } from "./run-end.ts";

const at = "2026-01-01T00:00:09Z";
const getJob = (condition?: { type: string; reason?: string }, metadata: object = {}): Job =>
  ({
    metadata,
    status: condition ? { conditions: [{ status: "True", lastTransitionTime: at, ...condition }] } : {},
  }) as unknown as Job;
const buildPod = (exitCode: number | "lives", more: object = {}, metadata: object = {}) => {
  const state = exitCode === "lives" ? { running: {} } : { terminated: { exitCode, finishedAt: at } };
  const status = { phase: exitCode === "lives" ? "Running" : "Failed", containerStatuses: [{ name: "main", state }] };
  return { metadata, spec: { nodeName: "one" }, status: { ...status, ...more } } as unknown as Pod;
};
const deleted = { deletionTimestamp: at };
type Machine = readonly [job: Job | undefined, pod: Pod | undefined, wasBound?: boolean];
const endOfAll = (...machines: readonly Machine[]) =>
  endOfRun(machines.map(([job, pod, wasBound = false]) => ({ job, pod, status: toMachineStatus(pod), wasBound })));
const findEnd = (job: Job | undefined, pod: Pod | undefined) => endOfAll([job, pod]);
const failed = { type: "Failed", reason: "BackoffLimitExceeded" };

describe("a run", () => {
  it("ends with its command, before its Job says so", () => {
    expect(findEnd(getJob(), buildPod(3))).toMatchObject({ exitCode: 3, reason: null });
    expect(findEnd(getJob(failed), buildPod(3))).toMatchObject({ exitCode: 3, reason: null });
    expect(findEnd(getJob(), buildPod("lives"))).toBeUndefined();
    expect(findEnd(getJob(), undefined)).toBeUndefined();
  });

  it("that a kubelet refused has not ended, with its Job, failed, or without one, as during its removal", () => {
    const status = { phase: "Failed", reason: "UnexpectedAdmissionError", message: "Pod was rejected: no GPU" };
    const refused = { metadata: {}, spec: { nodeName: "one" }, status } as unknown as Pod;

    for (const job of [getJob(), getJob(failed), undefined]) expect(findEnd(job, refused)).toBeUndefined();
  });

  it("on several machines ends with the first failure, or with the last machine", () => {
    const lives = [getJob(), buildPod("lives")] as const;
    const isDone = [getJob({ type: "Complete" }), buildPod(0)] as const;

    expect(endOfAll(isDone, lives)).toBeUndefined();
    expect(endOfAll(lives, [getJob(), buildPod(7)])).toMatchObject({ exitCode: 7 });
    expect(endOfAll(lives, [getJob(failed), undefined])).toMatchObject({ reason: expect.stringContaining("deleted") });
    expect(endOfAll(isDone, isDone)).toMatchObject({ exitCode: 0 });
  });

  it("on several machines that were told to end ends with the last of them", () => {
    const input = (pod: Pod) => ({ ...pod, spec: { ...pod.spec, activeDeadlineSeconds: 1 } });
    const lives = [getJob(), input(buildPod("lives"))] as const;
    const isOver = [getJob(failed), input(buildPod(143, { reason: "DeadlineExceeded" }))] as const;

    expect(endOfAll(isOver, lives)).toBeUndefined();
    expect(endOfAll(lives, isOver)).toBeUndefined();
    expect(endOfAll(isOver, isOver)).toMatchObject({ started: true, exitCode: null });
  });

  it("on several machines ends once the Job of the first was deleted", () => {
    const lives = [getJob(), buildPod("lives")] as const;

    expect(endOfAll([undefined, buildPod("lives", {}, deleted)], lives)).toBeUndefined();
    expect(endOfAll([undefined, undefined], lives)).toMatchObject({
      exitCode: null,
      reason: expect.stringContaining("deleted"),
    });
  });

  it("reports its deadline once all of it is over, whatever signal ended it", () => {
    const late = (type: string) => getJob({ type, reason: "DeadlineExceeded" });
    const reason = "DeadlineExceeded: the time limit of the environment was reached";

    expect(findEnd(late("FailureTarget"), buildPod("lives", {}, deleted))).toBeUndefined();
    expect(findEnd(late("FailureTarget"), buildPod(143, {}, deleted))).toMatchObject({ exitCode: null, reason });
    expect(findEnd(late("Failed"), undefined)).toMatchObject({ exitCode: null, reason, endedAt: Date.parse(at) });
  });

  it("whose pod is deleted has not ended before its Job says why", () => {
    expect(findEnd(getJob(), buildPod(143, {}, deleted))).toBeUndefined();
    expect(findEnd(getJob(failed), buildPod(143, {}, deleted))).toMatchObject({
      exitCode: null,
      started: true,
      reason: "the environment's pod was deleted from outside",
    });
    expect(findEnd(getJob(failed), undefined)).toMatchObject({
      exitCode: null,
      started: false,
      reason: "the environment's pod was deleted from outside",
    });
  });

  it.each([
    ["EvictionByEvictionAPI", "it was evicted from its machine"],
    ["DeletionByPodGC", "its machine is gone"],
    ["SomethingNew", "the environment's pod was deleted from outside"],
  ])("whose pod was evicted reports that: %s", (reason, words) => {
    const conditions = [{ type: "DisruptionTarget", status: "True", reason }];

    expect(findEnd(getJob(), buildPod("lives", { conditions }, deleted))).toMatchObject({
      endedAt: null,
      reason: words,
    });
    expect(findEnd(getJob(failed), buildPod(143, { conditions }, deleted))).toMatchObject({
      exitCode: null,
      reason: words,
    });
  });

  it("ends once its Job was deleted without its pod, which continues", () => {
    const end = { exitCode: null, endedAt: null, reason: "the environment's Job was deleted from outside" };

    expect(findEnd(undefined, buildPod("lives"))).toMatchObject({ ...end, started: true });
    expect(endOfAll([getJob(), buildPod("lives")], [undefined, buildPod("lives")])).toMatchObject(end);
  });

  it("on several machines ends once its first Job and that pod are gone", () => {
    const end = { exitCode: null, endedAt: null, reason: "the environment's Job was deleted from outside" };

    expect(endOfAll([undefined, undefined], [getJob(), buildPod("lives")])).toMatchObject(end);
  });

  it("ends if its Job lives without the pod that was on a node: it creates no other", () => {
    const end = { started: true, exitCode: null, reason: "the environment's pod was deleted from outside" };

    expect(endOfAll([getJob(), undefined, true])).toMatchObject(end);
    expect(endOfAll([getJob(), undefined, false])).toBeUndefined();
    expect(endOfAll([getJob(undefined, deleted), undefined, true])).toBeUndefined();
  });

  it("that is being removed reports how its command ended", () => {
    expect(findEnd(undefined, buildPod(143, {}, deleted))).toMatchObject({
      exitCode: null,
      reason: "command was killed by signal SIGTERM",
    });
    expect(findEnd(getJob(undefined, deleted), buildPod(0, {}, deleted))).toMatchObject({ exitCode: 0 });
    expect(findEnd(undefined, buildPod("lives", {}, deleted))).toBeUndefined();
  });

  it("whose pods were deleted after their end has still ended", () => {
    expect(findEnd(getJob({ type: "Complete" }), undefined)).toMatchObject({ exitCode: 0, started: true });
  });
});
