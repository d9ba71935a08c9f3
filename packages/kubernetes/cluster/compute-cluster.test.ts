import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe } from "vitest";
import { computeConformance } from "#tests/conformance/compute.ts";
import { toolsPath } from "../../../scripts/images/tools-programs.ts";
import { kubernetesCompute } from "../compute.ts";
import { type ClusterFixture, openClusterFixture } from "../fixtures/cluster-fixture.ts";

let fixture: ClusterFixture;

beforeAll(async () => {
  const nodes = ["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" }));
  fixture = await openClusterFixture(nodes, undefined, { tools: await toolsPath(process.env) });
});

afterAll(() => fixture.stop());

describe.each([
  ["kubernetes compute", undefined],
  ["kubernetes compute with the tools image", "berth.test/tools:1"],
])("%s as every Compute", (_, toolsImage) => {
  computeConformance(async () => ({
    compute: kubernetesCompute({ ...fixture.options, toolsImage }),
    nodes: fixture.nodes,
    now: Date.now,
    pass: sleep,
    close: fixture.clear,
    command: (_, { prints, exits, ignoresTerm, lastWords }) => {
      const print = prints.length > 0 ? `cat ${linesIn(fixture.files, prints)}` : ":";
      if (exits !== undefined) return `${print}; exit ${exits}`;
      if (lastWords) return `trap 'echo "${lastWords}"; exit 0' TERM; ${print}; while :; do sleep 0.1; done`;
      return `${ignoresTerm ? 'trap "" TERM;' : ""} ${print}; while :; do sleep 1; done`;
    },
  }));
});

function linesIn(folder: string, lines: readonly string[]): string {
  const file = join(folder, randomBytes(4).toString("hex"));
  writeFileSync(file, lines.map((line) => `${line}\n`).join(""));
  return file;
}
