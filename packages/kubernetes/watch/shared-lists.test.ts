import { expect, it } from "vitest";
import type { ApiClient } from "../client/api-client.ts";
import { ApiUnreachable } from "../client/api-error.ts";
import type { RunId } from "../names.ts";
import type { KubeObject } from "../objects.ts";
import { buildPaths } from "../paths.ts";
import { sharedLists } from "./shared-lists.ts";

const runs = ["a", "b", "c"].map((digit) => ({ uid: digit.repeat(32), run: 1 }));
const [first, second, third] = runs as [RunId, RunId, RunId];

/** Job and pod of a run. */
function getObjects({ uid, run }: RunId) {
  const labels = { "berth/uid": uid, "berth/run": String(run) };
  const name = `${uid}-r${run}`;
  const common = { creationTimestamp: "2026-01-01T00:00:00Z", resourceVersion: "1", labels };
  return {
    job: { metadata: { ...common, name, uid: `job-${name}` } },
    pod: { metadata: { ...common, name: `${name}-x`, uid: `pod-${name}`, generateName: `${name}-` } },
  };
}

interface List {
  readonly selector: string;
  answer(items: readonly KubeObject[]): void;
  fail(error: Error): void;
}

/** API server whose lists answer, and become slow, when the test says so. */
function listing() {
  const lists: List[] = [];
  const timers = new Set<() => void>();
  const whenSlow = (call: () => void) => {
    timers.add(call);
    return () => void timers.delete(call);
  };
  const pass = () => {
    for (const call of [...timers]) if (timers.delete(call)) call();
  };
  const list = async (path: string, keep: (item: KubeObject) => readonly KubeObject[]) => {
    const selector = new URL(path, "https://memory").searchParams.get("labelSelector") ?? "";
    const { promise, resolve, reject } = Promise.withResolvers<readonly KubeObject[]>();
    lists.push({ selector, answer: resolve, fail: reject });
    return { items: (await promise).flatMap(keep), resourceVersion: "1" };
  };
  const client = { list } as unknown as ApiClient;
  return { lists, client, timers, pass, shared: sharedLists(client, buildPaths("environments"), whenSlow) };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

it("answers all questions of a running list with one more list, each separately", async () => {
  const { lists, shared } = listing();

  const answers = runs.map((run) => shared.pods(run));
  lists[0]?.answer([getObjects(first).pod]);
  await settled();
  lists[1]?.answer([getObjects(third).pod, getObjects(second).pod]);

  expect((await Promise.all(answers)).map((pods) => pods.map(({ metadata }) => metadata.name))).toEqual(
    runs.map(({ uid }) => [`${uid}-r1-x`]),
  );
  expect(lists.map(({ selector }) => selector)).toEqual([
    `berth/uid=${first.uid},berth/run=1`,
    `berth/uid in (${second.uid},${third.uid})`,
  ]);
});

it("answers no question from a list that began before it", async () => {
  const { lists, shared } = listing();
  const before = shared.jobs(first);

  const after = shared.jobs(first);
  lists[0]?.answer([]);
  await settled();
  lists[1]?.answer([getObjects(first).job]);

  expect(await before).toEqual([]);
  expect(await after).toEqual([getObjects(first).job]);
});

it("separates the runs of one environment", async () => {
  const { lists, shared } = listing();
  const next = { ...second, run: 2 };
  void shared.jobs(first);

  const answers = [second, next].map((run) => shared.jobs(run));
  lists[0]?.answer([]);
  await settled();
  lists[1]?.answer([getObjects(next).job]);

  expect(await Promise.all(answers)).toEqual([[], [getObjects(next).job]]);
  expect(lists[1]?.selector).toBe(`berth/uid in (${second.uid})`);
});

it("fails the questions of a failed list, and no later ones", async () => {
  const { lists, shared } = listing();
  void shared.jobs(third);
  const sharing = [first, second].map((run) => shared.jobs(run));
  lists[0]?.answer([]);
  await settled();
  const after = shared.jobs(first);

  lists[1]?.fail(new ApiUnreachable("GET jobs", "cut off"));
  const failed = await Promise.allSettled(sharing);
  await settled();
  lists[2]?.answer([getObjects(first).job]);

  expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await after).toEqual([getObjects(first).job]);
});

it("lists at most 100 runs at once", async () => {
  const { lists, shared } = listing();
  const many = Array.from({ length: 151 }, (_, n) => ({ uid: n.toString(16).padStart(32, "0"), run: 1 }));

  const answers = many.map((run) => shared.jobs(run));
  for (const at of [0, 1, 2]) {
    lists[at]?.answer([]);
    await settled();
  }
  await Promise.all(answers);

  expect(lists.map(({ selector }) => selector.split(",").length)).toEqual([2, 100, 50]);
});

it("goes on after a slow list with one that begins after the question", async () => {
  const { lists, pass, shared } = listing();
  void shared.pods(first);
  const waiting = shared.pods(second);
  const before = lists.length;

  pass();
  lists[1]?.answer([getObjects(second).pod]);

  expect(await waiting).toEqual([getObjects(second).pod]);
  const later = shared.pods(third);
  lists[2]?.answer([getObjects(third).pod]);
  expect(await later).toEqual([getObjects(third).pod]);
  expect([before, lists.length]).toEqual([1, 3]);
});

it("runs at most three lists at once, and continues as soon as one of them ends", async () => {
  const { lists, pass, shared } = listing();
  const slow = shared.jobs(first);
  for (const run of [second, third]) {
    pass();
    void shared.jobs(run);
  }
  pass();
  const waiting = shared.jobs(second);
  const before = lists.length;

  lists[0]?.fail(new ApiUnreachable("GET jobs", "timed out"));
  await expect(slow).rejects.toThrow("timed out");
  await settled();
  lists[3]?.answer([getObjects(second).job]);

  expect(await waiting).toEqual([getObjects(second).job]);
  expect([before, lists.length]).toEqual([3, 4]);
});

it("stops counting a slow list that has ended", async () => {
  const { lists, timers, pass, shared } = listing();
  const slow = shared.jobs(first);
  pass();
  lists[0]?.answer([]);
  await slow;
  await settled();

  void shared.jobs(second);
  void shared.jobs(third);

  expect([lists.length, timers.size]).toEqual([2, 1]);
  lists[1]?.answer([]);
  await settled();
  lists[2]?.answer([]);
  await settled();
  expect(timers.size).toBe(0);
});

it("waits for an API server that never answers only until the list counts as slow", async () => {
  const { lists, client } = listing();
  const shared = sharedLists(client, buildPaths("environments"));
  void shared.pods(first);

  const others = [second, third].map((run) => shared.pods(run));
  await expect.poll(() => lists.length).toBe(2);
  lists[1]?.answer([getObjects(second).pod]);

  expect(await Promise.all(others)).toEqual([[getObjects(second).pod], []]);
});

it("refuses an invalid run before any call", async () => {
  const { lists, shared } = listing();

  await expect(shared.jobs({ uid: "a) or (b", run: 1 })).rejects.toThrow("32 hexadecimal digits");

  expect(lists).toEqual([]);
});
