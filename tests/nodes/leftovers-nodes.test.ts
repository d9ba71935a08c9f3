import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { access } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { removeLeftovers } from "./leftovers.ts";
import { startRealCluster } from "./real-cluster.ts";
import { findTraces, nothing } from "./traces-fixture.ts";

/** Returns when the folder is gone: the sweeper removes it last. */
async function gone(folder: string): Promise<void> {
  for (;;) {
    const isThere = await access(folder).then(
      () => true,
      () => false,
    );
    if (!isThere) return;
    await sleep(50);
  }
}

/** Where a kubelet looks for plugins by default. */
const pluginFolder = "/usr/libexec/kubernetes";

it("a run leaves nothing behind", async () => {
  const hadPlugins = existsSync(pluginFolder);
  const cluster = await startRealCluster([{ name: "one", instanceType: "m7i.8xlarge" }]);
  const { run } = cluster;
  const { home } = cluster.controlPlane;
  const traces = await findTraces(run, home);

  await cluster.stop();

  expect(traces.links).toHaveLength(1);
  expect(traces.cgroups).toEqual([run]);
  expect(traces.processes.join("\n")).toContain("kubelet");
  expect(await findTraces(run, home)).toEqual(nothing);
  await expect(access(home)).rejects.toThrow("ENOENT");
  expect(existsSync(pluginFolder)).toBe(hadPlugins);
});

it("the next run removes what a killed run left", async () => {
  const child = spawn(process.execPath, [fileURLToPath(new URL("./killed-run-fixture.ts", import.meta.url))], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const endedEarly = once(child, "exit").then(() => [""]);
  const [line] = await Promise.race([once(child.stdout, "data"), endedEarly]);
  const { run, home } = JSON.parse(String(line)) as { run: string; home: string };

  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
  await gone(home);
  // A run of another test file may do it first.
  await removeLeftovers();

  // The kernel ends the last processes of a machine after its first one.
  await expect.poll(() => findTraces(run, home)).toEqual(nothing);
});
