import { describe, expect, it } from "vitest";
import { jsonLog, printableJson } from "./log.ts";

function logged(fields: Record<string, unknown>): Record<string, unknown> {
  const lines: string[] = [];
  jsonLog((line) => lines.push(line)).warn("look", fields);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^[^\n]+\n$/);
  return JSON.parse(lines[0] ?? "");
}

describe("the JSON log", () => {
  it("writes one line with time, level, event and fields", () => {
    const line = logged({ key: "owner#a|1", ms: 3, note: "two\nlines" });

    expect(line).toMatchObject({ level: "warn", event: "look", key: "owner#a|1", ms: 3, note: "two\nlines" });
    expect(Date.parse(String(line.time))).not.toBeNaN();
  });

  it("hides fields that may hold a secret, at every depth", () => {
    const names = [
      "aws_secret_access_key",
      "sessionToken",
      "Authorization",
      "x-api-key",
      "env_vars",
      "envVars",
      "password",
    ];
    const nested = names.map((name) => ({ inner: { [name]: "hunter2" } }));

    const text = JSON.stringify(logged({ nested, credentials: { id: "hunter2" } }));

    expect(text).not.toContain("hunter2");
  });

  it("hides keys inside texts and errors", () => {
    const key = "k".repeat(86);
    const cause = new Error(`GET /k/${key}/health`);

    const line = logged({ error: new Error(`bad key ${key} of ASIAABCDEFGHIJKLMNOP`, { cause }) });

    expect(JSON.stringify(line)).not.toContain("kkkk");
    expect(line.error).toMatchObject({ name: "Error", message: "bad key *** of ***" });
    expect(line.error).toHaveProperty("cause.message", "GET ***/health");
  });

  it.each(["/k/", "/K/", "//k/", "/%6B/", "/%4b/", "%2fk%2F"])("hides a short key behind %s", (prefix) => {
    expect(logged({ text: `GET ${prefix}short/v1/jobs` }).text).toMatch(/^GET \/?\*\*\*\/v1\/jobs$/);
  });

  it("hides a key wherever it begins, and no shorter text", () => {
    const key = `${"k".repeat(43)}-${"k".repeat(42)}`;
    const [short] = /.{85}/.exec(key) ?? [];

    const line = logged({
      texts: [`key=${key}`, `"${key}"`, `${key}.${key}`, `é${key}`, `AKIAABCDEFGHIJKLMNOP-${key}`, short],
    });

    expect(line.texts).toEqual(["key=***", '"***"', "***.***", "é***", "***", short]);
  });

  it("accepts values that JSON cannot hold", () => {
    const loop: Record<string, unknown> = { big: 10n };
    loop.self = loop;

    expect(logged({ loop })).toHaveProperty("loop.big", "10");
  });
});

const odd = "a\u001b[2Jb\u009b2Jc\u007fd\u202ee\u2028f\u{e0041}g";

it("no character of a value acts on a terminal, and each can be read back", () => {
  const text = printableJson({ [odd]: odd, lines: "1\n2" }, 2);

  expect(text.replaceAll("\n", "")).toMatch(/^[ -~]*$/);
  expect(text.split("\n")).toHaveLength(4);
  expect(JSON.parse(text)).toEqual({ [odd]: odd, lines: "1\n2" });
  expect(printableJson("\u00e9\u{1f600}")).toBe('"\u00e9\u{1f600}"');
});

it("a log entry is one line, whatever it contains", () => {
  const lines: string[] = [];

  jsonLog((line) => lines.push(line)).info("event", { name: odd });

  expect(lines.join("")).toMatch(/^[ -~]*\n$/);
  expect(JSON.parse(lines.join(""))).toMatchObject({ event: "event", name: odd });
});
