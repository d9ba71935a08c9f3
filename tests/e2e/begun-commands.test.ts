import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type BegunCommands, begunTwice, noteBegunCommands } from "./begun-commands.ts";

const [entry, two] = ["a", "b"].map((digit) => `${digit.repeat(32)}-r1`) as [string, string];

let begun: BegunCommands;

beforeEach(() => {
  begun = noteBegunCommands();
});

afterEach(() => begun.close());

/** Runs a command under this name, and returns its output. */
function run(name: string): string {
  return execFileSync("/bin/sh", ["-c", begun.saying("echo ran")], { env: { BERTH_RUN: name }, encoding: "utf8" });
}

it("each command is recorded once, in order, whenever the log is read", () => {
  expect(begun.read()).toEqual([]);
  expect([run(entry), run(two)]).toEqual(["ran\n", "ran\n"]);
  expect(begun.read()).toEqual([entry, two]);
  expect(begun.read()).toEqual([entry, two]);
  expect(begunTwice(begun.read())).toEqual([]);
});

it.each([
  ["in one run", entry],
  ["in a second run of the same record", entry.replace(/1$/, "2")],
])("a command that started twice %s is found", (_, again) => {
  for (const name of [entry, two, again]) run(name);

  expect(begunTwice(begun.read())).toEqual([`the command of ${"a".repeat(32)} began as ${entry},${again}`]);
});
