import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type BegunCommands, begunTwice, noteBegunCommands } from "./begun-commands.ts";

const [one, two] = ["a", "b"].map((digit) => `${digit.repeat(32)}-r1`) as [string, string];

let begun: BegunCommands;

beforeEach(() => {
  begun = noteBegunCommands();
});

afterEach(() => begun.close());

/** Its output: the command itself runs too. */
function run(name: string): string {
  return execFileSync("/bin/sh", ["-c", begun.saying("echo ran")], { env: { BERTH_RUN: name }, encoding: "utf8" });
}

it("notes each command once, in their order, whenever it is read", () => {
  expect(begun.read()).toEqual([]);
  expect([run(one), run(two)]).toEqual(["ran\n", "ran\n"]);
  expect(begun.read()).toEqual([one, two]);
  expect(begun.read()).toEqual([one, two]);
  expect(begunTwice(begun.read())).toEqual([]);
});

it.each([
  ["in one run", one],
  ["in a second run of the same record", one.replace(/1$/, "2")],
])("catches a command that began twice %s", (_, again) => {
  for (const name of [one, two, again]) run(name);

  expect(begunTwice(begun.read())).toEqual([`the command of ${"a".repeat(32)} began as ${one},${again}`]);
});
