import { expect, test } from "vitest";
import { planLines } from "./job-plan.ts";

const image = "ubuntu:24.04";
const estimate = {
  estimated_start_time: null,
  estimated_start_latest: null,
  queue_position: null,
  reason: "Would start now",
  alternatives: [],
};

test("a plan shows the GPU-hours of the answer, which rounds them", () => {
  const job = { image, instance_type: "p5.48xlarge", gpu_count: 4, duration_hours: 1.3333 } as const;

  const [cost] = planLines(job, { ...estimate, gpu_hours: 5.333 });

  expect(cost).toBe("p5.48xlarge: 4 × 1.3333 h = 5.333 GPU-hours");
});

test("a plan of a machine without GPUs shows only hours", () => {
  const job = { image, instance_type: "c7i.8xlarge", gpu_count: 0, duration_hours: 5 } as const;

  expect(planLines(job, { ...estimate, gpu_hours: 0 })).toEqual(["c7i.8xlarge: 5 h without GPUs", "Would start now"]);
});
