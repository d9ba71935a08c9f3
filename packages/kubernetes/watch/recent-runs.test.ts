import { expect, it } from "vitest";
import type { Observation } from "#core/ports/compute.ts";
import type { RunObjects } from "../runs/bound-nodes.ts";
import { recentRuns } from "./recent-runs.ts";

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
