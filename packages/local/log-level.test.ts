import { expect, it, test } from "vitest";
import { jsonLog } from "#aws/log.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { atLevel } from "./stack-output.ts";

const idlePlan = { pool: "h100", granted: 0, held: 0, waiting: 0, ms: 3 };

it.each([
  ["debug", ["plan", "request", "step failed", "look failed"]],
  ["info", ["request", "step failed", "look failed"]],
  ["warn", ["step failed", "look failed"]],
  ["error", ["look failed"]],
] as const)("the level %s lets through %j", (level, expected) => {
  const log = recordingLog();
  const levelled = atLevel(log, level);

  levelled.info("plan", idlePlan);
  levelled.info("request", { status: 200 });
  levelled.warn("step failed");
  levelled.error("look failed", { error: "x" });

  expect(log.lines.map(({ event }) => event)).toEqual(expected);
});

test("an idle plan is logged as debug if the log has that level", () => {
  const lines: string[] = [];
  const levelled = atLevel(
    jsonLog((line) => lines.push(line)),
    "debug",
  );

  levelled.info("plan", idlePlan);
  levelled.info("plan", { ...idlePlan, granted: 1 });

  expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(["debug", "info"]);
});

test("a plan or a sweep that did something is not idle", () => {
  const log = recordingLog();
  const levelled = atLevel(log, "info");

  for (const field of ["granted", "held", "waiting"]) levelled.info("plan", { ...idlePlan, [field]: 1 });
  levelled.info("sweep", { queue: "work", sent: 1 });
  levelled.info("sweep", { queue: "work", sent: 0, visible: 0, delayed: 18 });
  levelled.warn("sweep", { queue: "work", sent: 0, visible: 9_000 });

  expect(log.lines.map(({ level, event }) => `${level} ${event}`)).toEqual([
    "info plan",
    "info plan",
    "info plan",
    "info sweep",
    "warn sweep",
  ]);
});
