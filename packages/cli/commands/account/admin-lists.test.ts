import { expect, test } from "vitest";
import { describeGroup, describeReading, listHolders } from "./admin-lists.ts";

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

test("a node group is a row with its limits, and with what keeps it from creating machines", () => {
  const group = {
    node_group: "p5-a",
    instance_types: ["p5.48xlarge"],
    zones: ["us-east-1a", "us-east-1b"],
    min: 0,
    desired: 1,
    max: 4,
    active: true,
    admits_jobs: true,
    lacks: null,
    lacks_in: [],
    starts_at: null,
    ends_at: null,
  };

  const rows = [
    group,
    { ...group, min: null, desired: null, lacks: "quota" as const },
    { ...group, lacks: "machines" as const, lacks_in: ["us-east-1a"] },
    { ...group, starts_at: new Date(Date.now() + 3_600_000).toISOString() },
    { ...group, starts_at: new Date(Date.now() - 3_600_000).toISOString() },
    { ...group, admits_jobs: false },
    { ...group, active: false, ends_at: new Date(Date.now() + 3_600_000).toISOString() },
  ].map((each) => describeGroup(each).slice(3));

  expect(describeGroup(group).slice(0, 3)).toEqual(["p5-a", "p5.48xlarge", "us-east-1a, us-east-1b"]);
  expect(rows).toEqual([
    ["0", "1", "4", "", "", ""],
    ["", "", "4", "quota", "", ""],
    ["0", "1", "4", "machines in us-east-1a", "", ""],
    ["0", "1", "4", "", expect.stringMatching(/^in /), ""],
    ["0", "1", "4", "", "", ""],
    ["0", "1", "4", "jobs may not run there", "", ""],
    ["0", "1", "4", "not active", "", expect.stringMatching(/^in /)],
  ]);
});
