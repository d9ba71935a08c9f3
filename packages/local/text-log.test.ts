import { expect, test } from "vitest";
import { type TextLogOptions, textLog } from "./text-log.ts";

const at = new Date(2026, 0, 20, 17, 52, 3).getTime();

function logOf(options: Partial<TextLogOptions> = {}) {
  const lines: string[] = [];
  const log = textLog({ write: (line) => lines.push(line), hasColors: false, isDetailed: false, ...options });
  return { lines, log };
}

test("what happened to an environment is one plain line", () => {
  const { lines, log } = logOf();

  log.tell({ at, name: "developer/train", words: "active until 18:52", tone: "good" });

  expect(lines).toEqual(["17:52:03  developer/train             active until 18:52\n"]);
});

test("is one row of the terminal, however long it is", () => {
  const { lines, log } = logOf({ columns: () => 80 });

  log.tell({ at, name: "developer/train", words: "x".repeat(200), tone: "plain" });
  log.tell({ at, name: `second/${"n".repeat(60)}1795278714`, words: "x".repeat(200), tone: "plain" });

  expect(lines.map((line) => line.trimEnd().length)).toEqual([80, 80]);
  expect(lines[0]).toMatch(/x…\n$/);
  expect(lines[1]).toMatch(/ second\/nnnnnnn…n1795278714 {2}x/);
});

test("a job without a name of its own is shown by the whole name of its pod", () => {
  const { lines, log } = logOf({ columns: () => 80 });

  log.tell({ at, name: "developer/gpu-dev-9e41c7d3", words: "failed", tone: "bad" });

  expect(lines).toEqual(["17:52:03  developer/gpu-dev-9e41c7d3  failed\n"]);
});

test("colors stand where a terminal shows them", () => {
  const { lines, log } = logOf({ hasColors: true });

  log.tell({ at, name: "developer/train", words: "failed", tone: "bad" });

  expect(lines[0]).toContain("\u001b[31mfailed\u001b[39m");
});

test("no name, reason or error reaches the terminal as more than characters of one line", () => {
  const { lines, log } = logOf();

  log.tell({ at, name: "a\u001b[2J\u009b1mb", words: "failed: x\r\ny\u202ez", tone: "bad" });
  log.error("look failed", { error: new Error("one\ntwo\u001b]0;title\u0007") });

  expect(lines).toHaveLength(2);
  expect(lines.filter((line) => !/^\P{C}+\n$/u.test(line))).toEqual([]);
});

test("what went wrong says why, and gives no secret away", () => {
  const { lines, log } = logOf();

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
  const { lines, log } = logOf();
  const detailed = logOf({ isDetailed: true });

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
  const { lines, log } = logOf();

  log.info("runs found", { adopted: 2, over: 3, ended: 1 });

  expect(lines[0]).toContain("environments of an earlier stack: 2 go on, 3 had ended, 1 had no record and were ended");
});
