import { expect, test } from "vitest";
import { jsonLog } from "./log.ts";
import { printableJson } from "./printable-json.ts";

const odd = "a\u001b[2Jb\u009b2Jc\u007fd\u202ee\u2028f\u{e0041}g";

test("no character of a value acts on a terminal, and each can be read back", () => {
  const text = printableJson({ [odd]: odd, lines: "1\n2" }, 2);

  expect(text.replaceAll("\n", "")).toMatch(/^[ -~]*$/);
  expect(text.split("\n")).toHaveLength(4);
  expect(JSON.parse(text)).toEqual({ [odd]: odd, lines: "1\n2" });
  expect(printableJson("\u00e9\u{1f600}")).toBe('"\u00e9\u{1f600}"');
});

test("a log entry is one line, whatever it contains", () => {
  const lines: string[] = [];

  jsonLog((line) => lines.push(line)).info("event", { name: odd });

  expect(lines.join("")).toMatch(/^[ -~]*\n$/);
  expect(JSON.parse(lines.join(""))).toMatchObject({ event: "event", name: odd });
});
