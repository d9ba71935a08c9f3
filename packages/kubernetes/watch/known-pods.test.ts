import { expect, it } from "vitest";
import { knownPods } from "./known-pods.ts";

const getId = (n: number) => ({ uid: n.toString(16).padStart(32, "0"), run: 1 });

it("names the pod of a run while it is the only shown one", () => {
  const knownValue = knownPods();
  const seen = [knownValue.findOnlyPod(getId(1))];

  for (const name of ["a", "a", "b"]) {
    knownValue.add(getId(1), name);
    seen.push(knownValue.findOnlyPod(getId(1)));
  }
  for (const name of ["a", "b"]) {
    knownValue.remove(getId(1), name);
    seen.push(knownValue.findOnlyPod(getId(1)));
  }

  expect(seen).toEqual([undefined, "a", "a", undefined, "b", undefined]);
});

it("keeps the newest 20,000 runs", () => {
  const knownValue = knownPods();
  for (let n = 0; n < 20_000; n += 1) knownValue.add(getId(n), `pod-${n}`);

  knownValue.add(getId(0), "pod-0");
  knownValue.add(getId(20_000), "pod-20000");

  expect([0, 1, 2, 20_000].map((n) => knownValue.findOnlyPod(getId(n)))).toEqual([
    "pod-0",
    undefined,
    "pod-2",
    "pod-20000",
  ]);
});
