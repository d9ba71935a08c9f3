import { expect, test } from "vitest";
import { decideGpuIdle, decideIdle } from "./idle.ts";

const MINUTE = 60_000;
const STARTED = 1_000_000_000;
const policy = { afterMs: 20 * MINUTE, everyMs: 5 * MINUTE };

function decide(after: number, signals: Partial<Parameters<typeof decideIdle>[0]> = {}) {
  const decidedAt = STARTED + after - policy.everyMs;
  const all = {
    startedAt: STARTED,
    lastUsedAt: null,
    busyUntil: null,
    sessions: 0,
    seenAt: null,
    decidedAt,
    ...signals,
  };
  return decideIdle(all, policy, STARTED + after);
}

test("an environment is kept at exactly the idle limit, and stopped a millisecond later", () => {
  expect(decide(20 * MINUTE)).toEqual({ verdict: "keep", signal: "start", since: STARTED });
  expect(decide(20 * MINUTE + 1)).toEqual({ verdict: "stop", signal: "start", since: STARTED });
});

test("a heartbeat counts from the time it was sent, but not if it predates the start", () => {
  const beat = STARTED + 10 * MINUTE;

  expect(decide(30 * MINUTE, { lastUsedAt: beat })).toEqual({ verdict: "keep", signal: "heartbeat", since: beat });
  expect(decide(31 * MINUTE, { lastUsedAt: beat })).toEqual({ verdict: "stop", signal: "heartbeat", since: beat });
  expect(decide(21 * MINUTE, { lastUsedAt: STARTED - 1 })).toMatchObject({ verdict: "stop", signal: "start" });
});

test("a running exec keeps an environment, and a finished one counts from its end", () => {
  const end = STARTED + 60 * MINUTE;

  expect(decide(59 * MINUTE, { busyUntil: end })).toMatchObject({ verdict: "keep", signal: "exec" });
  expect(decide(79 * MINUTE, { busyUntil: end })).toEqual({ verdict: "keep", signal: "exec", since: end });
  expect(decide(81 * MINUTE, { busyUntil: end })).toEqual({ verdict: "stop", signal: "exec", since: end });
});

test("an open session or an unknown number of sessions keeps an environment", () => {
  expect(decide(90 * MINUTE, { sessions: 1 })).toMatchObject({ verdict: "keep", signal: "sessions" });
  expect(decide(90 * MINUTE, { sessions: null })).toMatchObject({ verdict: "keep", signal: "unknown sessions" });
});

test("sessions count as use until the check that last saw them", () => {
  const seenAt = STARTED + 60 * MINUTE;

  expect(decide(80 * MINUTE, { seenAt })).toEqual({ verdict: "keep", signal: "sessions", since: seenAt });
  expect(decide(81 * MINUTE, { seenAt })).toEqual({ verdict: "stop", signal: "sessions", since: seenAt });
});

test("after two intervals without a check, use is unknown", () => {
  const decidedAt = STARTED + 90 * MINUTE;

  expect(decide(100 * MINUTE, { decidedAt })).toMatchObject({ verdict: "stop", signal: "start" });
  expect(decide(101 * MINUTE, { decidedAt })).toMatchObject({ verdict: "keep", signal: "unknown sessions" });
});

/** Decides for GPUs that are idle for `minutes` of 60, with a warning at the 50th by default. */
function decideGpus(minutes: number, warnedAfter: number | null = 50) {
  const warnedAt = warnedAfter === null ? null : STARTED + warnedAfter * MINUTE;
  return decideGpuIdle({ idleSince: STARTED, warnedAt }, 60 * MINUTE, STARTED + minutes * MINUTE);
}

test("idle GPUs are warned of 10 minutes before the stop", () => {
  expect(decideGpus(49.9, null)).toMatchObject({ verdict: "keep", warnedAt: null });
  expect(decideGpus(50, null)).toMatchObject({ verdict: "warn", warnedAt: STARTED + 50 * MINUTE });
  expect(decideGpus(59.9)).toMatchObject({ verdict: "keep", warnedAt: STARTED + 50 * MINUTE });
  expect(decideGpus(60)).toMatchObject({ verdict: "stop", since: STARTED });
});

test("a late warning leaves its full time, and a warning before new use is repeated", () => {
  expect(decideGpus(70, null).verdict).toBe("warn");
  expect(decideGpus(79, 70).verdict).toBe("keep");
  expect(decideGpus(80, 70).verdict).toBe("stop");
  expect(decideGpus(60, -5).verdict).toBe("warn");
});

test("unknown GPU use keeps the environment and cancels a warning", () => {
  const now = STARTED + 90 * MINUTE;

  const decision = decideGpuIdle({ idleSince: null, warnedAt: STARTED + 50 * MINUTE }, 60 * MINUTE, now);

  expect(decision).toEqual({ verdict: "keep", since: now, warnedAt: null });
});

test("a limit below 20 minutes is warned of at its half", () => {
  const decide = (minutes: number) =>
    decideGpuIdle({ idleSince: STARTED, warnedAt: null }, 4 * MINUTE, STARTED + minutes * MINUTE).verdict;

  expect([decide(1.9), decide(2)]).toEqual(["keep", "warn"]);
});
