import { expect, test } from "vitest";
import { type TextLogOptions, textLog } from "./text-log.ts";

const at = new Date(2026, 0, 20, 17, 52, 3).getTime();

const answer = { at, name: "developer/train", id: "", words: "", tone: "plain" } as const;

function getLog(options: Partial<TextLogOptions> = {}) {
  const lines: string[] = [];
  const log = textLog({ write: (line) => lines.push(line), hasColors: false, isDetailed: false, ...options });
  return { lines, log };
}

test("an event of an environment is one plain line", () => {
  const { lines, log } = getLog();

  log.tell({ at, name: "developer/train", id: "", words: "active until 18:52", tone: "good" });

  expect(lines).toEqual(["17:52:03  developer/train             active until 18:52\n"]);
});

test("a reason is shown to its end over several rows, with the id of the environment", () => {
  const { lines, log } = getLog({ columns: () => 80 });
  const words =
    "failed: Disk 'data' is lost: the snapshot that it starts from is gone; delete or rename it, then submit again";

  log.tell({ at, name: "developer/train", id: "9e41c7d3", words, tone: "bad" });

  expect(lines).toEqual([
    [
      "17:52:03  developer/train 9e41c7d3    failed: Disk 'data' is lost: the snapshot",
      "            that it starts from is gone; delete or rename it, then submit again",
      "",
    ].join("\n"),
  ]);
});

test("a name that contains the id is shown whole, and text that does not fit wraps to the next row", () => {
  const { lines, log } = getLog({ columns: () => 80 });
  const id = "ws-my-project-developer-1795373252";

  log.tell({ ...answer, name: `developer/onmemos-${id}`, id, words: "active until 19:47" });

  expect(lines).toEqual([`17:52:03  developer/onmemos-${id}  \n            active until 19:47\n`]);
});

test("an event takes at most five rows, none wider than the terminal", () => {
  for (const width of [40, 80]) {
    const { lines, log } = getLog({ columns: () => width });

    for (const words of ["x".repeat(2_000), "xy ".repeat(700)]) log.tell({ ...answer, words });
    log.tell({ ...answer, name: `second/${"n".repeat(60)}1795278714`, id: "9e41c7d3", words: "x".repeat(200) });

    const rows = lines.map((line) => line.trimEnd().split("\n"));
    expect(rows[0]).toHaveLength(5);
    expect(rows[1]).toHaveLength(5);
    expect(lines[0]).toMatch(/x…\n$/);
    if (width === 80) expect(Math.max(...rows.flat().map((row) => row.length))).toBeLessThanOrEqual(80);
    expect(rows[2]?.[0]).toMatch(/ second\/nnnnnnn…n1795278714 9e41c7d3 {2}/);
  }
});

test.each([undefined, 0])("an event is one line if the width of the terminal is %s", (width) => {
  const { lines, log } = getLog({ columns: () => width });

  log.tell({ ...answer, words: "x y ".repeat(500) });

  expect(lines[0]?.split("\n")).toHaveLength(2);
});

test("a job without a name is shown by the full name of its pod", () => {
  const { lines, log } = getLog({ columns: () => 80 });

  log.tell({ at, name: "developer/gpu-dev-9e41c7d3", id: "", words: "failed", tone: "bad" });

  expect(lines).toEqual(["17:52:03  developer/gpu-dev-9e41c7d3  failed\n"]);
});

test("colors are used only on a terminal that shows them", () => {
  const { lines, log } = getLog({ hasColors: true });

  log.tell({ at, name: "developer/train", id: "", words: "failed", tone: "bad" });

  expect(lines[0]).toContain("\u001b[31mfailed\u001b[39m");
});

test("control characters of a name, reason or error do not reach the terminal", () => {
  const { lines, log } = getLog();

  log.tell({ at, name: "a\u001b[2J\u009b1mb", id: "\u001b[2K", words: "failed: x\r\ny\u202ez", tone: "bad" });
  log.error("look failed", { error: new Error("one\ntwo\u001b]0;title\u0007") });

  expect(lines).toHaveLength(2);
  expect(lines.filter((line) => !/^\P{C}+\n$/u.test(line))).toEqual([]);
});

test("an error line says why, without a secret", () => {
  const { lines, log } = getLog();

  log.warn("step failed", { attempts: 2, error: "Error: no room", api_key: "hunter2" });
  log.error("look failed", { error: new TypeError("x is undefined") });
  log.error("poisoned record", { look: "a|b", why: `bad key ${"k".repeat(86)}` });

  expect(lines.map((line) => line.slice(10))).toEqual([
    "warning: step failed: Error: no room (attempts=2, api_key=***)\n",
    "error: look failed: TypeError: x is undefined\n",
    "error: poisoned record: bad key *** (look=a|b)\n",
  ]);
});

test("requests, reconciles, plans and a first failure are shown only at the detailed level", () => {
  const { lines, log } = getLog();
  const detailed = getLog({ isDetailed: true });

  for (const each of [log, detailed.log]) {
    each.info("request", { status: 200 });
    each.warn("step failed", { attempts: 1, error: "Error: late" });
  }

  expect(lines).toEqual([]);
  expect(detailed.lines.map((line) => line.slice(10))).toEqual([
    "request (status=200)\n",
    "warning: step failed: Error: late (attempts=1)\n",
  ]);
});

test("environments that an earlier stack left are mentioned", () => {
  const { lines, log } = getLog();

  log.info("runs found", { adopted: 2, over: 3, ended: 1 });

  expect(lines[0]).toContain("environments of an earlier stack: 2 go on, 3 had ended, 1 had no record and were ended");
});
