import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { alarmedErrorEvents, errorEvents } from "./error-events.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** Files of the local stack, which alone runs the gateway. */
const inLocalStack = /^packages\/(local|gateway)\//;

/** Returns the events of each row of docs/operate.md whose level may be error. */
function documentedErrors(): string[] {
  const rows = readFileSync(`${root}docs/operate.md`, "utf8").matchAll(/^\| (`[^|]+`) \| ([a-z]+(?:, [a-z]+)*) \|/gm);
  return [...rows]
    .filter(([, , levels = ""]) => levels.split(", ").includes("error"))
    .flatMap(([, names = ""]) => [...names.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name));
}

test("docs/operate.md explains every error event, and no other event as an error", () => {
  expect(documentedErrors().toSorted()).toEqual(Object.keys(errorEvents).toSorted());
});

test("every error event is logged, and only the local stack logs those without an alarm", () => {
  const files = globSync("{packages,functions}/**/*.ts", { cwd: root })
    .filter((file) => !/\.test\.ts$|\/error-events\.ts$/.test(file))
    .map((file) => ({ file, text: readFileSync(`${root}${file}`, "utf8") }));
  const isLogged = (event: string, isLocal: boolean) =>
    files.some(({ file, text }) => inLocalStack.test(file) === isLocal && text.includes(`"${event}"`));
  const alarmed = alarmedErrorEvents();
  const local = Object.keys(errorEvents).filter((event) => !alarmed.has(event));

  expect([...alarmed.keys()].filter((event) => !isLogged(event, false))).toEqual([]);
  expect(local.filter((event) => isLogged(event, false) || !isLogged(event, true))).toEqual([]);
});

test("no two error events share a metric, so that each alarm names one cause", () => {
  const metrics = [...alarmedErrorEvents().values()].map(({ metric }) => metric);

  expect(new Set(metrics).size).toBe(metrics.length);
});
