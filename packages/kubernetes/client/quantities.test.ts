import { expect, it, test } from "vitest";
import type { Pod } from "../objects.ts";
import { parseQuantity, sumRequests } from "./quantities.ts";

test.each([
  ["8", 8],
  ["500m", 0.5],
  ["31850m", 31.85],
  ["0.5", 0.5],
  ["4Gi", 4 * 2 ** 30],
  ["1536Mi", 1536 * 2 ** 20],
  ["129e6", 129e6],
  ["2k", 2_000],
  ["1T", 1e12],
  [undefined, 0],
  ["", 0],
  ["many", 0],
  ["1Xi", 0],
  ["1.2.3", 0],
])("the quantity %s is %d", (quantity, amount) => {
  expect(parseQuantity(quantity)).toBe(amount);
});

const container = (requests?: Record<string, string>, more: object = {}) => ({
  name: "c",
  ...(requests ? { resources: { requests } } : {}),
  ...more,
});
const buildPod = (spec: object) => ({ spec }) as unknown as Pod;

it("counts the containers of a pod together with their sidecars", () => {
  const pod = buildPod({
    containers: [
      container({ cpu: "1", memory: "1Gi", "nvidia.com/gpu": "2" }),
      container({ cpu: "250m" }),
      container(),
    ],
    initContainers: [container({ cpu: "500m", memory: "1Gi" }, { restartPolicy: "Always" })],
  });

  expect(sumRequests(pod)).toEqual({ gpus: 2, cpus: 1.75, memoryMb: 2048 });
});

it("counts only an init container if it requests more than all others", () => {
  const pod = buildPod({
    containers: [container({ cpu: "1", memory: "1Gi" })],
    initContainers: [container({ cpu: "4", memory: "512Mi" }), container({ cpu: "2" })],
  });

  expect(sumRequests(pod)).toEqual({ gpus: 0, cpus: 4, memoryMb: 1024 });
});

it("counts an init container with only the sidecars started before it", () => {
  const sidecar = container({ cpu: "1" }, { restartPolicy: "Always" });
  const pod = buildPod({
    containers: [container({ cpu: "1" })],
    initContainers: [sidecar, container({ cpu: "4" }), sidecar],
  });

  expect(sumRequests(pod)).toMatchObject({ cpus: 5 });
});

it("counts the pod-level request, and the containers' without one", () => {
  const pod = buildPod({
    resources: { requests: { cpu: "6" } },
    containers: [container({ cpu: "1", memory: "1Gi" }), container()],
  });

  expect(sumRequests(pod)).toEqual({ gpus: 0, cpus: 6, memoryMb: 1024 });
});

it("adds the overhead of the pod's runtime class", () => {
  const pod = buildPod({ overhead: { cpu: "250m", memory: "120Mi" }, containers: [container({ cpu: "1" })] });

  expect(sumRequests(pod)).toEqual({ gpus: 0, cpus: 1.25, memoryMb: 120 });
});

it("counts a pod without requests as nothing", () => {
  expect(sumRequests(buildPod({ containers: [container()] }))).toEqual({ gpus: 0, cpus: 0, memoryMb: 0 });
});
