import { describe, expect, it } from "vitest";
import type { Job, Pod } from "../objects.ts";
import { machineStatusOf } from "../status/machine-status.ts";
import { endOfRun } from "./run-end.ts";

const at = "2026-01-01T00:00:09Z";
const jobOf = (condition?: { type: string; reason?: string }, metadata: object = {}): Job =>
  ({
    metadata,
    status: condition ? { conditions: [{ status: "True", lastTransitionTime: at, ...condition }] } : {},
  }) as unknown as Job;
const podOf = (exitCode: number | "lives", more: object = {}, metadata: object = {}) => {
  const state = exitCode === "lives" ? { running: {} } : { terminated: { exitCode, finishedAt: at } };
  const status = { phase: exitCode === "lives" ? "Running" : "Failed", containerStatuses: [{ name: "main", state }] };
  return { metadata, spec: { nodeName: "one" }, status: { ...status, ...more } } as unknown as Pod;
};
const deleted = { deletionTimestamp: at };
type Machine = readonly [job: Job | undefined, pod: Pod | undefined, wasBound?: boolean];
const endOfAll = (...machines: readonly Machine[]) =>
  endOfRun(machines.map(([job, pod, wasBound = false]) => ({ job, pod, status: machineStatusOf(pod), wasBound })));
const endOf = (job: Job | undefined, pod: Pod | undefined) => endOfAll([job, pod]);
const failed = { type: "Failed", reason: "BackoffLimitExceeded" };

describe("a run", () => {
  it("has ended with its command, before its Job says so", () => {
    expect(endOf(jobOf(), podOf(3))).toMatchObject({ exitCode: 3, reason: null });
    expect(endOf(jobOf(failed), podOf(3))).toMatchObject({ exitCode: 3, reason: null });
    expect(endOf(jobOf(), podOf("lives"))).toBeUndefined();
    expect(endOf(jobOf(), undefined)).toBeUndefined();
  });

  it("on several machines has ended with the first that failed, or with the last of them", () => {
    const lives = [jobOf(), podOf("lives")] as const;
    const isDone = [jobOf({ type: "Complete" }), podOf(0)] as const;

    expect(endOfAll(isDone, lives)).toBeUndefined();
    expect(endOfAll(lives, [jobOf(), podOf(7)])).toMatchObject({ exitCode: 7 });
    expect(endOfAll(lives, [jobOf(failed), undefined])).toMatchObject({ reason: expect.stringContaining("deleted") });
    expect(endOfAll(isDone, isDone)).toMatchObject({ exitCode: 0 });
  });

  it("on several machines that were asked to end has ended with the last of them", () => {
    const input = (pod: Pod) => ({ ...pod, spec: { ...pod.spec, activeDeadlineSeconds: 1 } });
    const lives = [jobOf(), input(podOf("lives"))] as const;
    const isOver = [jobOf(failed), input(podOf(143, { reason: "DeadlineExceeded" }))] as const;

    expect(endOfAll(isOver, lives)).toBeUndefined();
    expect(endOfAll(lives, isOver)).toBeUndefined();
    expect(endOfAll(isOver, isOver)).toMatchObject({ started: true, exitCode: null });
  });

  it("on several machines has ended once somebody deleted the Job of the first", () => {
    const lives = [jobOf(), podOf("lives")] as const;

    expect(endOfAll([undefined, podOf("lives", {}, deleted)], lives)).toBeUndefined();
    expect(endOfAll([undefined, undefined], lives)).toMatchObject({
      exitCode: null,
      reason: expect.stringContaining("deleted"),
    });
  });

  it("was ended by its net once all of it is over, whatever signal did it", () => {
    const late = (type: string) => jobOf({ type, reason: "DeadlineExceeded" });
    const reason = "DeadlineExceeded: the time limit of the environment was reached";

    expect(endOf(late("FailureTarget"), podOf("lives", {}, deleted))).toBeUndefined();
    expect(endOf(late("FailureTarget"), podOf(143, {}, deleted))).toMatchObject({ exitCode: null, reason });
    expect(endOf(late("Failed"), undefined)).toMatchObject({ exitCode: null, reason, endedAt: Date.parse(at) });
  });

  it("whose pod is deleted has not ended before its Job says why", () => {
    expect(endOf(jobOf(), podOf(143, {}, deleted))).toBeUndefined();
    expect(endOf(jobOf(failed), podOf(143, {}, deleted))).toMatchObject({
      exitCode: null,
      started: true,
      reason: "the environment's pod was deleted from outside",
    });
    expect(endOf(jobOf(failed), undefined)).toMatchObject({
      exitCode: null,
      started: false,
      reason: "the environment's pod was deleted from outside",
    });
  });

  it.each([
    ["EvictionByEvictionAPI", "it was evicted from its machine"],
    ["DeletionByPodGC", "its machine is gone"],
    ["SomethingNew", "the environment's pod was deleted from outside"],
  ])("whose pod was pushed out says so: %s", (reason, words) => {
    const conditions = [{ type: "DisruptionTarget", status: "True", reason }];

    expect(endOf(jobOf(), podOf("lives", { conditions }, deleted))).toMatchObject({ endedAt: null, reason: words });
    expect(endOf(jobOf(failed), podOf(143, { conditions }, deleted))).toMatchObject({ exitCode: null, reason: words });
  });

  it("has ended once its Job was deleted without its pod, which goes on", () => {
    const end = { exitCode: null, endedAt: null, reason: "the environment's Job was deleted from outside" };

    expect(endOf(undefined, podOf("lives"))).toMatchObject({ ...end, started: true });
    expect(endOfAll([jobOf(), podOf("lives")], [undefined, podOf("lives")])).toMatchObject(end);
  });

  it("of several machines has ended once its first Job and the pod of that are gone: somebody deleted the Job", () => {
    const end = { exitCode: null, endedAt: null, reason: "the environment's Job was deleted from outside" };

    expect(endOfAll([undefined, undefined], [jobOf(), podOf("lives")])).toMatchObject(end);
  });

  it("has ended once its Job lives without the pod that was on a node: it is to make no other", () => {
    const end = { started: true, exitCode: null, reason: "the environment's pod was deleted from outside" };

    expect(endOfAll([jobOf(), undefined, true])).toMatchObject(end);
    expect(endOfAll([jobOf(), undefined, false])).toBeUndefined();
    expect(endOfAll([jobOf(undefined, deleted), undefined, true])).toBeUndefined();
  });

  it("that is being removed tells how its command ended", () => {
    expect(endOf(undefined, podOf(143, {}, deleted))).toMatchObject({
      exitCode: null,
      reason: "command was killed by signal SIGTERM",
    });
    expect(endOf(jobOf(undefined, deleted), podOf(0, {}, deleted))).toMatchObject({ exitCode: 0 });
    expect(endOf(undefined, podOf("lives", {}, deleted))).toBeUndefined();
  });

  it("whose pods somebody took away after their end has still ended", () => {
    expect(endOf(jobOf({ type: "Complete" }), undefined)).toMatchObject({ exitCode: 0, started: true });
  });
});
