import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { shellCommand } from "./text.ts";

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
