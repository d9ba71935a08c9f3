import { expect, it } from "vitest";
import type { Observation } from "#core/ports/compute.ts";
import type { RunObjects } from "../runs/bound-nodes.ts";
import { knownPods, recentRuns } from "./run-caches.ts";

const run = { uid: "a".repeat(32), run: 1 };
const objects: RunObjects = { jobs: [], pods: [] };
const seen = { state: "ended", exitCode: 0 } as Observation;

function opened() {
  let now = 1_000_000;
  const pass = (ms: number) => {
    now += ms;
  };
  return { recent: recentRuns(() => now), pass };
}

it("keeps an end for less than a second, and the objects of a run for 20 s", () => {
  const { recent, pass } = opened();
  recent.keep(run, objects);
  recent.keepEnd(run, objects, seen);

  pass(999);
  const early = [recent.find(run), recent.findEnd(run)];
  pass(1);

  expect(early).toEqual([objects, seen]);
  expect([recent.find(run), recent.findEnd(run)]).toEqual([objects, undefined]);
});

it("keeps no end from older objects than the last ones read", () => {
  const { recent } = opened();
  recent.keep(run, objects);
  recent.keep(run, { jobs: [], pods: [] });

  recent.keepEnd(run, objects, seen);

  expect(recent.findEnd(run)).toBeUndefined();
});

it("keeps no end of a run that was removed during the observation", () => {
  const { recent } = opened();
  recent.markRemoved(run);
  recent.keep(run, objects);

  recent.keepEnd(run, objects, seen);

  expect(recent.findEnd(run)).toBeUndefined();
});

const getId = (n: number) => ({ uid: n.toString(16).padStart(32, "0"), run: 1 });

it("names the pod of a run while it is the only shown one", () => {
  const known = knownPods();
  const seen = [known.findOnlyPod(getId(1))];

  for (const name of ["a", "a", "b"]) {
    known.add(getId(1), name);
    seen.push(known.findOnlyPod(getId(1)));
  }
  for (const name of ["a", "b"]) {
    known.remove(getId(1), name);
    seen.push(known.findOnlyPod(getId(1)));
  }

  expect(seen).toEqual([undefined, "a", "a", undefined, "b", undefined]);
});

it("keeps the newest 20,000 runs", () => {
  const known = knownPods();
  for (let n = 0; n < 20_000; n += 1) known.add(getId(n), `pod-${n}`);

  known.add(getId(0), "pod-0");
  known.add(getId(20_000), "pod-20000");

  expect([0, 1, 2, 20_000].map((n) => known.findOnlyPod(getId(n)))).toEqual(["pod-0", undefined, "pod-2", "pod-20000"]);
});
