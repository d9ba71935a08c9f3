import { expect, test } from "vitest";
import { startLines } from "./start-lines.ts";

const stack = { url: "http://127.0.0.1:8080", home: "/data/.berth", isolation: "none", limits: "none" };

test("say where the stack listens, what holds and how another shell finds it", () => {
  const lines = startLines(stack, "/data/.berth");

  expect(lines).toContain("Berth listens on http://127.0.0.1:8080 (isolation: none; limits: none).");
  expect(lines).toContain('\n  eval "$(npm run --silent env)"\n');
  expect(lines).not.toContain("BERTH_HOME");
});

test("name a home that npm would not look in", () => {
  expect(startLines(stack, "/elsewhere/.berth")).toContain("with BERTH_HOME=/data/.berth set there too.");
});

test.each([
  ["none", "Environments can read and change all that you can"],
  ["bubblewrap, shared network", "Environments reach all that listens on this machine"],
])("warn of an isolation that is %s", (isolation, warning) => {
  expect(startLines({ ...stack, isolation }, stack.home)).toContain(warning);
});

test("have no warning where every environment has a network of its own", () => {
  const lines = startLines({ ...stack, isolation: "bubblewrap, own network" }, stack.home);

  expect(lines).not.toContain("README.md");
});

test("say what Ctrl-C ends", () => {
  expect(startLines(stack, stack.home)).toContain("Ctrl-C ends the stack and all its environments");
});
