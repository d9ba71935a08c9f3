import { expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { refusedOrigins } from "./origin.ts";

test("a flood without the origin secret writes one line a minute, and every request is counted", () => {
  const log = recordingLog();
  let now = 5;
  const note = refusedOrigins(log, { now: () => now });

  for (let n = 0; n < 1_000; n += 1) note();
  now += 59_999;
  note();
  now += 1;
  note();
  note();
  now += 60_000;
  note();

  expect(log.lines.map(({ level, event, fields }) => [level, event, fields])).toEqual([
    ["warn", "origin refused", { count: 1 }],
    ["warn", "origin refused", { count: 1_001 }],
    ["warn", "origin refused", { count: 2 }],
  ]);
});

test("a process that Lambda freezes between two requests still writes a line a minute", () => {
  const log = recordingLog();
  let now = 0;
  const note = refusedOrigins(log, { now: () => now });

  for (; now < 300_000; now += 5_000) note();

  expect(log.lines.map(({ fields }) => fields)).toEqual([{ count: 1 }, ...Array(4).fill({ count: 12 })]);
});

test("a clock that is set back suppresses no line", () => {
  const log = recordingLog();
  let now = 3_600_000;
  const note = refusedOrigins(log, { now: () => now });

  note();
  now = 0;
  note();

  expect(log.lines.map(({ fields }) => fields)).toEqual([{ count: 1 }, { count: 1 }]);
});
