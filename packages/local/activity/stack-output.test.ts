import { expect, it } from "vitest";
import { stackOutput } from "../stack-output.ts";
import type { News } from "./activity-log.ts";

const news: News = { at: 0, name: "developer/train", id: "", words: "failed", tone: "bad" };

function getOutput(settings: Readonly<Record<string, string>>, isTTY = true) {
  const written = { lines: "", notes: "" };
  const writer = (name: keyof typeof written) => ({
    write(text: string | Uint8Array) {
      written[name] += String(text);
      return true;
    },
  });
  const lines = { ...writer("lines"), isTTY, columns: 80 };
  return { written, output: stackOutput(settings, { lines, notes: writer("notes") }) };
}

it.each([
  ["debug", true],
  ["info", true],
  ["warn", false],
  ["error", false],
])("the log level %s shows the events of environments: %s", (level, isShown) => {
  const { written, output } = getOutput({ LOG_LEVEL: level });

  output.onNews?.(news);

  expect(written.lines.includes("developer/train")).toBe(isShown);
});

it.each([
  [{}, true, "text"],
  [{}, false, "json"],
  [{ LOG_FORMAT: "json" }, true, "json"],
  [{ LOG_FORMAT: "text" }, false, "text"],
] as const)("the settings %j and a terminal (%s) select %s", (settings, isTTY, format) => {
  const { written, output } = getOutput(settings, isTTY);

  output.log.error("look failed", { error: "x" });
  output.stopping([]);

  expect(written.lines.startsWith("{")).toBe(format === "json");
  expect(written.notes).toBe(format === "json" ? "\nStopping. No environment runs.\n" : "");
  expect(output.onNews === undefined).toBe(format === "json");
});

it.each([
  [{}, true, true],
  [{ NO_COLOR: "1" }, true, false],
  [{ LOG_FORMAT: "text" }, false, false],
])("the settings %j and a terminal (%s) select colors: %s", (settings, isTTY, hasColors) => {
  const { written, output } = getOutput(settings, isTTY);

  output.onNews?.(news);

  expect(written.lines.includes("\u001b[31m")).toBe(hasColors);
});
