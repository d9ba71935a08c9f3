import { setTimeout as sleep } from "node:timers/promises";
import type { Run } from "#core/ports/compute.ts";
import { hasSparePython } from "../sandbox/tools.ts";
import { lockFile } from "../supervisor/lock.ts";
import { volumeData } from "../volumes/volume-directory.ts";
import { findPlace, type Host } from "./host.ts";
import { launch } from "./launch.ts";
import { observe, readStatus, runsMounting } from "./observation.ts";
import { buildLaunchPlan, type LaunchPlan } from "./plan.ts";
import type { RunRecord } from "./records.ts";
import { forgetDraft, isDraft, type RunPlace } from "./removal.ts";
import { isDirectory, makeRunDirectory, runName, wasRemoved } from "./run-directory.ts";

const answeringWithinMs = 800;

/** Returns when the run has begun or ended. Throws if it was removed, or if a volume is missing or in use. */
export async function applyRun(host: Host, run: Run): Promise<void> {
  if (host.closing) throw new Error("The local stack is being stopped");
  const { directory, name } = findPlace(host, runName(run.uid, run.run));
  const plan = buildLaunchPlan(run, name, host.options);
  if (!isDirectory(directory)) {
    const nodes = run.shares.map(({ node }) => node ?? pretendNodeFor(host, run.instanceType));
    const record: RunRecord = {
      key: run.key,
      image: run.image,
      nodes,
      isolation: plan.isolation,
      network: plan.network,
      ports: plan.ports,
      volumes: plan.mounts.map(({ volume }) => volume),
      limits: plan.limits,
      hasSparePython: hasSparePython(plan),
    };
    const files = { "run.json": JSON.stringify(record), until: String(run.until), [lockFile]: "" };
    makeRunDirectory(directory, plan.machines, files);
  }
  const place = { name, directory, locking: plan.locking };
  const hasStarted = !isDraft(readStatus(directory));
  // A removal that did not find the directory has set its mark before. A started run may still be ending.
  if (wasRemoved(host.runs, name)) {
    if (!hasStarted) await forgetDraft(place);
    throw new Error("The run was removed and is not started again");
  }
  if (hasStarted) return;
  await requireVolumes(host, place, plan);
  const reply = await launch(plan, host.options.startedWithinMs).catch(async (error: unknown) => {
    await forgetDraft(place);
    throw error;
  });
  if (reply === "gone") throw new Error("The run was removed while it was being started");
  if (reply === "busy") await waitUntilStarted(host, directory);
  await requireBegun(host, directory);
  if (run.ports.length > 0) await waitUntilAnswering(host, directory);
}

/** Throws if a volume is missing or in use. This run is already visible, so of two concurrent starts one gives way. */
async function requireVolumes(host: Host, place: RunPlace, { mounts }: LaunchPlan): Promise<void> {
  const { home } = host.options;
  for (const { volume } of mounts) {
    const isThere = isDirectory(volumeData(home, volume));
    if (isThere && runsMounting(home, volume).every((name) => name === place.name)) continue;
    await forgetDraft(place);
    throw new Error(isThere ? "The volume is in use by another run" : "The volume does not exist");
  }
}

function pretendNodeFor({ options }: Host, instanceType: string): string {
  return options.nodes.find((node) => node.ready && node.instanceType === instanceType)?.name ?? "local";
}

async function waitUntilStarted(host: Host, directory: string): Promise<void> {
  const end = performance.now() + host.options.startedWithinMs;
  while (
    performance.now() < end &&
    !host.closing &&
    !readStatus(directory).processes?.started &&
    !readStatus(directory).end
  )
    await sleep(4);
}

/** Waits for `processes.json`. A supervisor can accept the plan and die before it writes that file. */
async function requireBegun(host: Host, directory: string): Promise<void> {
  const end = performance.now() + host.options.startedWithinMs;
  for (let seen = readStatus(directory); !seen.processes && !seen.end; seen = readStatus(directory)) {
    if (performance.now() >= end || host.closing || !isDirectory(directory)) throw new Error("The run has not begun");
    await sleep(4);
  }
}

/** Waits briefly for the ports, because the next observation is a second away. */
async function waitUntilAnswering(host: Host, directory: string): Promise<void> {
  const end = performance.now() + answeringWithinMs;
  while (performance.now() < end && !host.closing) {
    const { state } = await observe(directory, readStatus(directory), host.options);
    if (state !== "probe") return;
    await sleep(10);
  }
}
