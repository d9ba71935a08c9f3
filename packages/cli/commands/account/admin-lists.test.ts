import { expect, test } from "vitest";
import { describeReading } from "./admin-lists.ts";

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
