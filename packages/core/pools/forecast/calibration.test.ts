import { describe, expect, test } from "vitest";
import {
  addStart,
  type Calibration,
  latestStart,
  noCalibration,
  promiseErrors,
  readCalibration,
  widening,
} from "./calibration.ts";

const NOW = Date.UTC(2026, 0, 20, 18);
const HOUR = 3_600_000;

/** Returns starts that were estimated for an hour later, two at most, and came after these hours. */
function started(...hours: number[]): Calibration {
  return hours.reduce((knownHour, hour) => addStart(knownHour, promise(NOW), NOW + hour * HOUR), noCalibration);
}

function promise(at: number) {
  return { at, p50: at + HOUR, p90: at + 2 * HOUR, latest: at + 2 * HOUR };
}

describe("the widening of the latest start", () => {
  test("is 1 while fewer than twenty starts are known, or nine of ten were in time", () => {
    expect(widening(started(...Array.from({ length: 19 }, () => 9)), [], NOW)).toBe(1);
    expect(widening(started(...Array.from({ length: 100 }, (_, n) => (n < 90 ? 1 : 9))), [], NOW)).toBe(1);
  });

  test("is large enough that nine of ten would have been in time", () => {
    expect(widening(started(...Array.from({ length: 100 }, (_, n) => (n < 60 ? 1 : n < 90 ? 3 : 9))), [], NOW)).toBe(
      1.5,
    );
  });

  test("counts jobs that wait past their time, since the longest waits start last", () => {
    const inTime = started(...Array.from({ length: 30 }, () => 1));
    const waiting = Array.from({ length: 20 }, () => promise(NOW - 6 * HOUR));

    expect(widening(inTime, waiting, NOW)).toBe(3);
    expect(widening(inTime, waiting, NOW - 5 * HOUR)).toBe(1);
  });

  test("is at most tenfold, and ignores errors of a few seconds", () => {
    expect(widening(started(...Array.from({ length: 30 }, () => 900)), [], NOW)).toBe(10);

    let soon = noCalibration;
    for (let n = 0; n < 30; n++) soon = addStart(soon, { at: NOW, p50: NOW, p90: NOW, latest: NOW }, NOW + 40_000);
    expect(widening(soon, [], NOW)).toBe(1);
  });

  test("moves the latest start away from the time of the estimate", () => {
    expect(latestStart({ at: NOW, p90: NOW + HOUR }, 1)).toBe(NOW + HOUR);
    expect(latestStart({ at: NOW, p90: NOW + HOUR }, 1.5)).toBe(NOW + 1.5 * HOUR);
    expect(latestStart({ at: NOW, p90: NOW }, 2)).toBe(NOW + 120_000);
  });
});

test("errors say how many starts were in time, and the median error", () => {
  expect(promiseErrors(started(1, 1.25, 2, 4))).toEqual({ starts: 4, covered: 0.75, medianError: 0.2 });
  expect(promiseErrors(noCalibration)).toEqual({ starts: 0, covered: 1, medianError: 0 });
});

test("the largest record has the last 200 starts and is below 8 KB", () => {
  const far = { at: 0, p50: NOW, p90: NOW, latest: NOW };
  let calibration = noCalibration;
  for (let n = 0; n < 500; n++) calibration = addStart(calibration, far, NOW + n);

  expect(calibration.starts).toHaveLength(200);
  expect(JSON.stringify(calibration.starts).length).toBeLessThan(8_192);
  expect(readCalibration(JSON.parse(JSON.stringify(calibration.starts)))).toEqual(calibration);
});

test("reads invalid starts as none", () => {
  expect(readCalibration("starts")).toEqual(noCalibration);
  expect(readCalibration([[1, 2, 3], [1, 2, 3, -1], [1, 2, 3, "4"], null, [1, 2, 3, 4]])).toEqual({
    starts: [[1, 2, 3, 4]],
  });
});
