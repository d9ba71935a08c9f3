import { expect, test } from "vitest";
import { alarmedErrorEvents } from "#core/ports/error-events.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { countingLog, formatNamespace, writtenMetrics } from "./metrics.ts";

test("lines of counted events are metrics of their stage, and other lines stay unchanged", () => {
  const lines: unknown[] = [];
  const note = (event: string, fields: object = {}) => void lines.push([event, fields]);
  const log = countingLog(
    { info: note, warn: note, error: note },
    formatNamespace("/berth/dev/gpu-dev/jobs/get"),
    () => 7,
  );

  log.info("request", { status: 404, ms: 12.5 });
  log.warn("send failed", { look: "a" });
  log.warn("cluster unreachable");
  log.info("toString", { a: 1 });
  log.warn("disk not purged", { disk: "d" });
  log.error("disk not purged", { disk: "d" });
  log.error("unreadable messages", { count: 3 });

  const emf = (Dimensions: string[], Metrics: object[]) => ({
    Timestamp: 7,
    CloudWatchMetrics: [{ Namespace: "berth/dev", Dimensions: [Dimensions], Metrics }],
  });
  const count = (Name: string) => ({ Name, Unit: "Count" });
  const answers = { Status: "4xx", Answers: 1, AnswerMs: 12.5 };
  expect(lines).toEqual([
    [
      "request",
      {
        status: 404,
        ms: 12.5,
        ...answers,
        _aws: emf(["Status"], [count("Answers"), { Name: "AnswerMs", Unit: "Milliseconds" }]),
      },
    ],
    ["send failed", { look: "a", SendsFailed: 1, _aws: emf([], [count("SendsFailed")]) }],
    ["cluster unreachable", { ClusterUnreachable: 1, _aws: emf([], [count("ClusterUnreachable")]) }],
    ["toString", { a: 1 }],
    ["disk not purged", { disk: "d" }],
    ["disk not purged", { disk: "d", DisksNotPurged: 1, _aws: emf([], [count("DisksNotPurged")]) }],
    ["unreadable messages", { count: 3, MessagesUnreadable: 3, _aws: emf([], [count("MessagesUnreadable")]) }],
  ]);
});

test("all metrics that may be written are listed, each with its dimensions", () => {
  const errors = [...alarmedErrorEvents().values()].map(({ metric }) => [metric, []]);

  expect(Object.fromEntries(writtenMetrics())).toEqual({
    Answers: ["Status"],
    AnswerMs: ["Status"],
    BatchMs: ["Queue"],
    LagMs: ["Queue"],
    ClusterUnreachable: [],
    OriginsRefused: [],
    SendsFailed: [],
    MachinesInterrupted: [],
    InterruptionsIgnored: [],
    SnapshotsPending: [],
    ...Object.fromEntries(errors),
  });
});

test("a process without a stage's log group counts nothing", () => {
  const log = recordingLog();

  expect(["/aws/lambda/berth-dev-X", "", undefined].map(formatNamespace)).toEqual([undefined, undefined, undefined]);
  expect(countingLog(log, undefined, () => 0)).toBe(log);
});
