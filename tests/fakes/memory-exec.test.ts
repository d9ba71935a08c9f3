import { describe } from "vitest";
import { execConformance } from "../conformance/exec.ts";
import { manualClock } from "../fixtures/clock.ts";
import { newNodes } from "../worlds/memory-world.ts";
import { memoryCompute } from "./memory-compute.ts";

const nodes = newNodes({ h100: 1 });

describe("memory compute", () => {
  execConformance(async () => {
    const clock = manualClock();
    const compute = memoryCompute({ clock, nodes });
    const applied = { uid: "a".repeat(32), run: 1 };
    const until = Number.MAX_SAFE_INTEGER;
    const plain = { gpusPerMachine: 4, mounts: [], ports: [], resources: null, env: {}, image: "i", command: "c" };
    const named = { key: "k", name: "n", pool: "h100", instanceType: "p5.48xlarge" };
    await compute.apply({ ...applied, ...named, ...plain, shares: [{ node: "h100-1", units: 4 }], until });
    let made = 0;
    return {
      compute,
      applied,
      pass: async (ms) => clock.advance(ms),
      close: async () => undefined,
      words: ({ stdout = "", stderr = "", exits = 0, takesMs = 0 }) => {
        const word = `acted-${made}`;
        made += 1;
        compute.programExec(({ words }) => words[0] === word, { stdout, stderr, exitCode: exits, takesMs });
        return [word];
      },
      times: ([word]) => compute.execs().filter(({ words }) => words[0] === word).length,
    };
  });
});
