import { expect, test } from "vitest";
import { type TextLogOptions, textLog } from "./text-log.ts";

const at = new Date(2026, 0, 20, 17, 52, 3).getTime();

const answer = { at, name: "developer/train", id: "", words: "", tone: "plain" } as const;

function getLog(options: Partial<TextLogOptions> = {}) {
  const lines: string[] = [];
  const log = textLog({ write: (line) => lines.push(line), hasColors: false, isDetailed: false, ...options });
  return { lines, log };
}

test("what happened to an environment is one plain line", () => {
  const { lines, log } = getLog();

  log.tell({ at, name: "developer/train", id: "", words: "active until 18:52", tone: "good" });

  expect(lines).toEqual(["17:52:03  developer/train             active until 18:52\n"]);
});

test("its reason is read to the end, over several rows of a terminal, and its id is there", () => {
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

test("a name that has the id in it is shown whole, and what there is no room for begins in the next row", () => {
  const { lines, log } = getLog({ columns: () => 80 });
  const id = "ws-my-project-developer-1795373252";

  log.tell({ ...answer, name: `developer/onmemos-${id}`, id, words: "active until 19:47" });

  expect(lines).toEqual([`17:52:03  developer/onmemos-${id}  \n            active until 19:47\n`]);
});

test("takes no more than five rows, none of which is longer than the terminal is wide", () => {
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

test.each([undefined, 0])("where the width of a terminal is %s, it is one line", (width) => {
  const { lines, log } = getLog({ columns: () => width });

  log.tell({ ...answer, words: "x y ".repeat(500) });

  expect(lines[0]?.split("\n")).toHaveLength(2);
});

test("a job without a name is shown by the whole name of its pod", () => {
  const { lines, log } = getLog({ columns: () => 80 });

  log.tell({ at, name: "developer/gpu-dev-9e41c7d3", id: "", words: "failed", tone: "bad" });

  expect(lines).toEqual(["17:52:03  developer/gpu-dev-9e41c7d3  failed\n"]);
});

test("colors stand where a terminal shows them", () => {
  const { lines, log } = getLog({ hasColors: true });

  log.tell({ at, name: "developer/train", id: "", words: "failed", tone: "bad" });

  expect(lines[0]).toContain("\u001b[31mfailed\u001b[39m");
});

test("no name, reason or error reaches the terminal as more than characters of one line", () => {
  const { lines, log } = getLog();

  log.tell({ at, name: "a\u001b[2J\u009b1mb", id: "\u001b[2K", words: "failed: x\r\ny\u202ez", tone: "bad" });
  log.error("look failed", { error: new Error("one\ntwo\u001b]0;title\u0007") });

  expect(lines).toHaveLength(2);
  expect(lines.filter((line) => !/^\P{C}+\n$/u.test(line))).toEqual([]);
});

test("what went wrong says why, and gives no secret away", () => {
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

test("requests, looks, plans and a first failure are shown in detail only", () => {
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

test("environments that a stack before this one left are mentioned", () => {
  const { lines, log } = getLog();

  log.info("runs found", { adopted: 2, over: 3, ended: 1 });

  expect(lines[0]).toContain("environments of an earlier stack: 2 go on, 3 had ended, 1 had no record and were ended");
});
