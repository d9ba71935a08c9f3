import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Compute } from "#core/ports/compute.ts";
import type { ApiClient } from "../client/api-client.ts";
import { kubernetesCompute } from "../compute.ts";
import { type CoreFixture, startCore } from "../fixtures/core-fixture.ts";
import { openToolsFixture, type ToolsFixture } from "../fixtures/tools-fixture.ts";

let fixture: ToolsFixture;
let core: CoreFixture | undefined;

beforeAll(async () => {
  fixture = await openToolsFixture();
});

afterEach(async () => {
  await core?.stop();
  core = undefined;
  await fixture.clear();
});
afterAll(() => fixture.stop());

/** Directory with an nvidia-smi that prints this. */
function withTool(says: string): string {
  const programs = join(fixture.files, "programs");
  mkdirSync(programs, { recursive: true });
  writeFileSync(join(programs, "nvidia-smi"), `#!/bin/sh\necho "${says}"\n`, { mode: 0o755 });
  return `${programs}:/bin:/usr/bin`;
}

const watching = () => kubernetesCompute({ ...fixture.options, watchesGpus: true });

it("reports when a GPU of any machine was last used, if that is requested", async () => {
  const shares = ["one", "two"].map((node) => ({ node, units: 8 }));
  const env = { PATH: withTool("0") };
  const run = await fixture.applied({ command: undefined, shares, gpusPerMachine: 8, env });
  await fixture.until(run, (seen) => seen?.waitsToBegin === true);
  await fixture.compute.begin(run.uid, 1);
  await fixture.ready(run);

  const seen = await fixture.eventually(
    () => watching().observe(run.uid, 1),
    (observation) => observation?.gpuIdleSince !== undefined,
  );

  expect(seen?.gpuIdleSince).toBeLessThanOrEqual(Date.now());
  expect(seen?.gpuIdleSince).toBeGreaterThan(Date.now() - 3_600_000);
  expect((await fixture.compute.observe(run.uid, 1))?.gpuIdleSince).toBeUndefined();
});

it("asks a supervisor once, whether GPUs, Jupyter or both are requested", async () => {
  const run = await fixture.applied({ command: undefined, gpusPerMachine: 8, env: { PATH: withTool("0") } });
  await fixture.ready(run);
  const answer = { revision: 1, login: "gpu-dev-1", keys: [], jupyter: { token: "t" } };
  await fixture.compute.setAccess(run.uid, 1, answer);
  const names: string[] = [];
  const socket: ApiClient["socket"] = (path, protocol) => {
    names.push(path);
    return fixture.client.socket(path, protocol);
  };
  const compute = kubernetesCompute({ ...fixture.options, client: { ...fixture.client, socket }, watchesGpus: true });

  const seen = await compute.observe(run.uid, 1);

  expect(seen?.jupyter).not.toBeNull();
  expect(names.filter((path) => path.includes("command=status"))).toHaveLength(1);
});

it("reports nothing for a run without such a tool, or without GPUs", async () => {
  const [bare, cpu] = await Promise.all([
    fixture.applied({ command: undefined, env: { PATH: "/bin" } }),
    fixture.applied({ command: undefined, gpusPerMachine: 0, env: { PATH: withTool("0") } }),
  ]);

  for (const run of [bare, cpu]) {
    await fixture.ready(run);
    expect((await watching().observe(run.uid, 1))?.gpuIdleSince).toBeUndefined();
  }
});

it("a job with idle GPUs is warned, in its record and at its terminals, and ended with the reason", async () => {
  const said: (string | undefined)[] = [];
  // Terminals of a container are this machine's here.
  const tell: Compute["tell"] = async (_uid, _run, { words }) => void said.push(words);
  core = await startCore({ ...watching(), tell }, undefined, { idleGpuMinutes: 0.2 });
  const command = "while :; do sleep 0.2; done";
  await core.create("idle", { gpus: 1, command, env: { PATH: withTool("0") } });

  const ended = await core.until("idle", ({ phase }) => phase === "cancelled" || phase === "failed");

  const words = "Its GPUs are idle: it ends in 6 seconds unless they are used";
  const reasons = ended.events.timeline.map(({ reason }) => reason);
  expect(reasons).toContain(words);
  expect(said).toEqual([words, "This environment was cancelled: Its GPUs were idle for 12 seconds"]);
  expect(ended).toMatchObject({
    reason: "Its GPUs were idle for 12 seconds",
    end: { outcome: { phase: "cancelled" } },
    use: { idle: { signal: "gpus", verdict: "stop" } },
  });
});
