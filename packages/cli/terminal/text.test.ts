import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { cut, table, textRows, wrapText } from "./layout.ts";
import { jsonText, printableLog, shellCommand } from "./text.ts";

test.each([
  ["sh", "-c", "echo $0; echo two", "it's"],
  ["printf", "%s\n", "a b", "", "*", "~", "$HOME"],
  ["printf", "%s|", "line\nbreak", "-x", "&&", "#"],
])("a shell gets the words %s %s ... as they were typed", (...words) => {
  const [program = "", ...rest] = words;
  const direct = spawnSync(program, rest, { encoding: "utf8" });

  expect(spawnSync("sh", ["-c", shellCommand(words)], { encoding: "utf8" }).stdout).toBe(direct.stdout);
});

test("a single word is a command line of a shell", () => {
  expect(shellCommand(["echo one; echo two"])).toBe("echo one; echo two");
});

test("wide and combining characters keep the columns of a table aligned", () => {
  const rows = [
    ["NAME", "STATUS"],
    ["データ", "active"],
    ["cafe\u0301", "queued"],
    ["👍👍", "failed"],
  ];

  expect(table(rows)).toBe("NAME    STATUS\nデータ  active\ncafe\u0301    queued\n👍👍    failed\n");
});

test.each([
  ["データベース", 12, "データベース"],
  ["データベース", 11, "データベー…"],
  ["データベース", 10, "データベ…"],
  ["cafe\u0301s", 5, "cafe\u0301s"],
  ["cafe\u0301s", 4, "caf…"],
  ["👍👍👍", 4, "👍…"],
  ["plain", 3, "pl…"],
  ["plain", 1, "…"],
])("%s is cut to %i columns without half a character", (line, columns, expected) => {
  expect(cut(line, columns)).toBe(expected);
});

test.each([
  ["Submitted it for 72 h.", 18, "Submitted it for\n72 h."],
  ["It is at position #12.", 19, "It is at\nposition #12."],
  ["  Indented words", 12, "  Indented\n  words"],
  ["Come back with: berth attach x. Bye.", 30, "Come back with:\nberth attach x. Bye."],
  ["hint: Start one with: npm start", 21, "hint: Start one with:\nnpm start"],
  ["Log in with: a command that is too long", 12, "Log in with:\na command\nthat is too\nlong"],
])("%j at %i columns is broken neither inside of a command nor before a unit", (line, columns, expected) => {
  expect(wrapText(line, columns)).toBe(expected);
});

test("a narrow table loses the columns that matter least before it cuts others", () => {
  const rows = [
    ["NAME", "STATUS", "REASON"],
    ["a-long-name-of-a-job", "queued", "Waiting"],
  ];
  const options = { cut: ["NAME", "REASON"], leaveOut: ["REASON"] };

  expect(table(rows, 35, options)).toContain("a-long-name-of-a-…  queued  Waiting\n");
  expect(table(rows, 28, options)).toBe("NAME                  STATUS\na-long-name-of-a-job  queued\n");
  expect(table(rows, 20, options)).toBe("NAME          STATUS\na-long-name…  queued\n");
  expect(table(rows, 12, options).split("\n")).toHaveLength(3);
});

test("a long text in a table wraps below itself, and a word that is too wide stays whole", () => {
  const rows = [
    ["Command", "run this and that"],
    ["Jupyter", "http://127.0.0.1:8888/?token=0"],
  ];

  expect(textRows(rows, 21)).toBe("Command  run this and\n         that\nJupyter  http://127.0.0.1:8888/?token=0\n");
});

test.each([
  "\u001B[31m",
  "\u009B2J",
  "\u202E\u2066",
  "\u200B\uFEFF",
  "\u007F\u0085",
  "\u2028\u2029",
  "\u{E0041}\u{F0000}",
  '"\\\n\t',
  "\uD800",
  "é データ 👍",
])("%j is the same value after JSON, without control characters", (text) => {
  const json = jsonText({ [text]: [text] });

  expect(JSON.parse(json)).toEqual({ [text]: [text] });
  expect(json).not.toMatch(/[\p{Cc}\p{Cf}\p{Co}\u2028\u2029]/u);
});

test("a log of one line of 10 MB is shown without escape sequences", () => {
  const shown = printableLog(`\u001B[31m${"x".repeat(10_000_000)}\u001B]0;title\u0007\n`);

  expect(shown.length).toBe(10_000_000 + "\uFFFD]0;title\uFFFD\n".length);
});
