import { expect, test } from "vitest";
import { describeReading, listHolders } from "./admin-lists.ts";

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

test("operators read how old the known node groups are, and why EKS did not tell them again", () => {
  const read = { read_at: minutesAgo(12), asked_at: minutesAgo(2) };

  expect(describeReading({ ...read, error: null })).toBe("Node groups read 12 min ago.");
  expect(describeReading({ ...read, error: "ThrottlingException" })).toBe(
    "Node groups read 12 min ago; EKS: ThrottlingException",
  );
  expect(describeReading({ ...read, read_at: null, error: "\u001b[2JAccessDenied" })).toMatch(
    /^Node groups never read; EKS: \S*\[2JAccessDenied$/,
  );
});

test("operators read what a machine reports to be wrong, next to each of its holders", () => {
  const free = { zone: "a", node_group: null, drained: false, units: 8, holders: [] };
  const phase = "active" as const;
  const holder = { user_id: "ada", environment_id: "one", api: "gpu-dev", units: 4, phase, until: null };
  const fault = "AcceleratedHardwareReady is False: \u001b[2JNvidiaXID79Error";

  const rows = listHolders({
    gpu_type: "h100",
    nodes: [
      { ...free, node: "one", status: "ready", fault: null },
      { ...free, node: "two", status: "not_ready", fault },
      { ...free, node: "three", status: "not_ready", fault, holders: [holder] },
    ],
  });

  const shown = "AcceleratedHardwareReady is False: \uFFFD[2JNvidiaXID79Error";
  expect(rows.map((row) => [row[0], row[2], row.at(-1)])).toEqual([
    ["one", "ready", ""],
    ["two", "not_ready", shown],
    ["three", "not_ready", shown],
  ]);
});
