import { mkdirSync, realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Compute, Observation, Run, RunRef } from "#core/ports/compute.ts";
import { RunBound } from "#core/problem.ts";
import { noteAccess, writeAccess } from "./access-record.ts";
import { type FollowedRuns, followChanges } from "./changes.ts";
import { systemPath } from "./environment.ts";
import { readExec, startExec } from "./exec.ts";
import { launch } from "./launch.ts";
import { findLimits, type LimitWay, moveLimits, removeLimits, wayInWords } from "./limits.ts";
import type { Programs } from "./local-path.ts";
import { findLocking, type Locking, lockFile } from "./lock.ts";
import { runsMounting } from "./mounts.ts";
import { findNetwork } from "./network-probe.ts";
import { isAnswered, lookAt, observationOf, type SshEntry, treeOf } from "./observation.ts";
import { readOutput } from "./output.ts";
import { type LaunchPlan, planOf } from "./plan.ts";
import { postToPort } from "./port-post.ts";
import { computeNode, type PretendNode } from "./pretend-node.ts";
import { killTree } from "./process-tree.ts";
import { type Isolation, type Network, type RunRecord, readMark, readRun, writeEnd, writeMark } from "./records.ts";
import { carryOn, endNow, forgetDraft, isDraft, nudge, type RunPlace, requestRemoval } from "./removal.ts";
import {
  discardLeftovers,
  isDirectory,
  listRunNames,
  madeAt,
  makeRunDirectory,
  markRemoved,
  runName,
  runOfName,
  wasRemoved,
} from "./run-directory.ts";
import { canSandbox } from "./sandbox-probe.ts";
import { endSupervisors, forgetSupervisors } from "./supervisor-place.ts";
import { hasSparePython } from "./tools.ts";
import { volumeData } from "./volume-directory.ts";

export interface ProcessComputeOptions extends SshEntry {
  /** Runs live in `<home>/runs`; a sandbox sees nothing of it but the run's own work directory. */
  readonly home: string;
  readonly nodes: readonly PretendNode[];
  /** Found out by trying when not given. */
  readonly isolation?: Isolation;
  /** Of sandboxes; found out by trying when not given. */
  readonly network?: Network;
  /** Where runs look for programs; the system's own places when not given. */
  readonly programs?: Programs;
  readonly locking?: Locking;
  /** How runs are limited; found out by trying when not given. */
  readonly limits?: LimitWay;
  /** How long a start waits for its supervisor before it says that the run has not begun; 1.5 s when not given. */
  readonly startedWithinMs?: number;
}

export interface ProcessCompute extends Compute {
  readonly isolation: Isolation;
  readonly network: Network;
  /** What can be limited here, in words. */
  readonly limits: string;
  /** To be called once at start: finishes what an earlier process left half made or half removed, and no more. */
  adopt(): Promise<void>;
  /** Kills whatever there is of a run, by group and by BERTH_RUN, and forgets it. */
  endRun(uid: string, run: number): Promise<void>;
  /** Kills every run within 1.5 s and leaves word that the local stack was stopped. Nothing starts afterwards. */
  shutdown(): Promise<void>;
}

const STARTED_WITHIN_MS = 1_500;
const answeringWithinMs = 800;
/** Most runs are gone by then, and whoever asked need not look again a second later. */
const removedWithinMs = 400;
/**
 * Longer than any supervisor needs to begin, also on a machine that has too much to do: what is forgotten has failed.
 */
const draftMs = 60_000;

interface Host {
  readonly runs: string;
  readonly options: ProcessComputeOptions &
    Required<
      Pick<ProcessComputeOptions, "isolation" | "network" | "locking" | "limits" | "programs" | "startedWithinMs">
    >;
  readonly applying: Set<Promise<void>>;
  closing: boolean;
}

/**
 * Runs environments as processes of this machine (docs/architecture.md#the-embedded-stack). All that it knows is in the
 * runs' directories and the process table, so any number of these, also after a restart, see and remove the same runs.
 * On macOS `isolation` is none, and a process that leaves its group outlives its run.
 */
export function processCompute(given: ProcessComputeOptions): ProcessCompute {
  mkdirSync(join(resolve(given.home), "runs"), { recursive: true, mode: 0o700 });
  const home = realpathSync(resolve(given.home));
  const isolation = given.isolation ?? (canSandbox() ? "bubblewrap" : "none");
  const network = isolation === "none" ? "shared" : (given.network ?? findNetwork());
  const limits = given.limits ?? findLimits(isolation);
  const programs = given.programs ?? { path: systemPath, shown: [] };
  const { locking = findLocking(), startedWithinMs = STARTED_WITHIN_MS } = given;
  const options = { ...given, home, isolation, network, programs, locking, limits, startedWithinMs };
  const host: Host = { runs: join(home, "runs"), options, applying: new Set(), closing: false };
  return {
    isolation,
    network,
    limits: wayInWords(limits),
    refusesSecondStart: true,
    apply: (run) => tracked(host, applyRun(host, run)),
    observe: async (uid, run) => observeRun(host, placeOf(host, runName(uid, run))),
    // Whoever starts a run starts it on all of its pretend machines at once.
    begin: async () => undefined,
    remove: async (uid, run, { graceSeconds, force, unlessBound }) => {
      const graceMs = force ? 0 : Math.max(0, graceSeconds || 0) * 1000;
      const place = placeOf(host, runName(uid, run));
      markRemoved(host.runs, place.name, Date.now());
      if (unlessBound) return removeDraft(place);
      if (isDirectory(place.directory)) await requestRemoval(place, Date.now() + graceMs, removedWithinMs);
    },
    extend: async (uid, run, until) => {
      const { directory } = placeOf(host, runName(uid, run));
      if (isDirectory(directory) && until > (readMark(directory, "until") ?? 0)) writeMark(directory, "until", until);
    },
    setAccess: async (uid, run, access) => {
      const { directory } = placeOf(host, runName(uid, run));
      if (isDirectory(directory) && writeAccess(directory, access)) nudge(directory);
    },
    resize: async (uid, run, resources, revision) => {
      const { directory } = placeOf(host, runName(uid, run));
      const made = readRun(directory);
      if (!made || revision < (readMark(directory, "resized") ?? 0)) return;
      writeMark(directory, "resized", revision);
      moveLimits(made.limits, resources);
    },
    startExec: (uid, run, exec) => startExec(placeOf(host, runName(uid, run)).directory, exec),
    readExec: (uid, run, id, waitMs) => readExec(placeOf(host, runName(uid, run)).directory, id, waitMs),
    postToPort: (uid, run, request) => postToPort(placeOf(host, runName(uid, run)).directory, request),
    readLog: async (uid, run) => readOutput(placeOf(host, runName(uid, run)).directory),
    // All of a run is its directory.
    listParts: async () => [],
    listRuns: async (uid) => {
      const all = listRunNames(host.runs).flatMap((name) => refOf(host, name));
      return uid === undefined ? all : all.filter((one) => one.uid === uid);
    },
    changes: (signal) => followChanges(followedBy(host), signal),
    listNodes: async () => options.nodes.map((node) => computeNode(home, node)),
    silenceOf: async ({ uid }) =>
      options.nodes.some((node) => computeNode(home, node).uid === uid) ? null : "missing",
    // Every node is this very machine.
    machineOf: async () => "running",
    adopt: () => adopt(host),
    endRun: (uid, run) => endRun(placeOf(host, runName(uid, run))),
    shutdown: () => shutdown(host),
  };
}

async function applyRun(host: Host, run: Run): Promise<void> {
  if (host.closing) throw new Error("The local stack is being stopped");
  const { directory, name } = placeOf(host, runName(run.uid, run.run));
  const plan = planOf(run, name, host.options);
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
  if (!isDraft(lookAt(directory))) return;
  const place = { name, directory, locking: plan.locking };
  // Only now that a removal finds the directory: one that did not find it has left its mark before.
  if (wasRemoved(host.runs, name)) {
    await forgetDraft(place);
    throw new Error("The run was removed and is not started again");
  }
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

/**
 * Two runs never mount one volume. Looked at when this one can be seen by any other that looks, so that of two at the
 * same moment at least one gives way.
 */
async function requireVolumes(host: Host, place: RunPlace, { mounts }: LaunchPlan): Promise<void> {
  const { home } = host.options;
  for (const { volume } of mounts) {
    const isThere = isDirectory(volumeData(home, volume));
    if (isThere && runsMounting(home, volume).every((name) => name === place.name)) continue;
    await forgetDraft(place);
    throw new Error(isThere ? "The volume is in use by another run" : "The volume does not exist");
  }
}

/** A run is bound from the moment on at which its supervisor has it. */
async function removeDraft(place: RunPlace): Promise<void> {
  if (isDirectory(place.directory)) await forgetDraft(place);
  if (isDirectory(place.directory)) throw new RunBound();
}

async function observeRun({ options }: Host, place: RunPlace): Promise<Observation | undefined> {
  const { directory, name } = place;
  if (!isDirectory(directory)) return undefined;
  const status = lookAt(directory);
  if (status.removal !== undefined) await carryOn(place, status);
  if (isDraft(status) && Date.now() > madeAt(directory) + draftMs) await forgetDraft(place);
  if (status.end && status.unwitnessed && (await killTree(treeOf(name, directory, status.launcher), 200))) {
    writeEnd(directory, status.end);
  }
  const seen = lookAt(directory);
  // The end of this process may undo it: whoever took it for made would take it for lost.
  if (isDraft(seen)) return undefined;
  const observation = await observationOf(directory, seen, options);
  return isDirectory(directory) ? observation : undefined;
}

function followedBy(host: Host): FollowedRuns {
  const { runs, options } = host;
  return {
    home: options.home,
    runs,
    all: () => listRunNames(runs).flatMap((name) => refOf(host, name)),
    isStarting: async (name) => {
      const { directory } = placeOf(host, name);
      const status = lookAt(directory);
      if (!status.launcherLives || isAnswered(directory)) return false;
      return (await observationOf(directory, status, options)).state === "probe";
    },
  };
}

async function adopt({ runs, options }: Host): Promise<void> {
  await discardLeftovers(runs, Date.now());
  forgetSupervisors(options.home);
  for (const name of listRunNames(runs)) {
    const place = { name, directory: join(runs, name), locking: options.locking };
    const [status, record] = [lookAt(place.directory), readRun(place.directory)];
    await carryOn(place, status);
    if (isDraft(status)) await forgetDraft(place);
    if (status.launcherLives) noteAccess(place.directory);
    if (record && !status.launcherLives) await removeLimits(record.limits, 0);
  }
}

async function endRun(place: RunPlace): Promise<void> {
  if (isDirectory(place.directory)) writeMark(place.directory, "removal", Date.now());
  await endNow(place);
  if (isDirectory(place.directory)) await requestRemoval(place, Date.now(), removedWithinMs);
}

async function shutdown(host: Host): Promise<void> {
  host.closing = true;
  await Promise.allSettled(host.applying);
  const places = listRunNames(host.runs).map((name) => placeOf(host, name));
  const living = places.filter(({ directory }) => !lookAt(directory).end);
  for (const { directory } of living) {
    try {
      writeMark(directory, "stopped", Date.now());
    } catch {
      // On a full disk: it is ended all the same, and nobody is told why.
    }
    nudge(directory);
  }
  const end = performance.now() + 900;
  const lives = ({ directory }: RunPlace) => lookAt(directory).launcherLives;
  while (performance.now() < end && living.some(lives)) await sleep(10);
  await Promise.all(living.filter(lives).map((place) => endNow(place, 200)));
  await endSupervisors(host.options.home, 200);
}

function tracked(host: Host, work: Promise<void>): Promise<void> {
  host.applying.add(work);
  return work.finally(() => host.applying.delete(work));
}

function placeOf({ runs, options }: Host, name: string): RunPlace {
  return { name, directory: join(runs, name), locking: options.locking };
}

function refOf({ runs }: Host, name: string): RunRef[] {
  const named = runOfName(name);
  return named ? [{ ...named, key: readRun(join(runs, name))?.key ?? "" }] : [];
}

/** No group makes machines here, so a share that names none goes to any that there is of its type. */
function pretendNodeFor({ options }: Host, instanceType: string): string {
  return options.nodes.find((node) => node.ready && node.instanceType === instanceType)?.name ?? "local";
}

/** What answers soon need not be looked for again: a next look is a second away. */
async function waitUntilAnswering(host: Host, directory: string): Promise<void> {
  const end = performance.now() + answeringWithinMs;
  while (performance.now() < end && !host.closing) {
    const { state } = await observationOf(directory, lookAt(directory), host.options);
    if (state !== "probe") return;
    await sleep(10);
  }
}

async function waitUntilStarted(host: Host, directory: string): Promise<void> {
  const end = performance.now() + host.options.startedWithinMs;
  while (performance.now() < end && !host.closing && !lookAt(directory).launcher?.started && !lookAt(directory).end)
    await sleep(4);
}

/** Its supervisor may have the plan and still lose it: the run is made once the first line of it is written. */
async function requireBegun(host: Host, directory: string): Promise<void> {
  const end = performance.now() + host.options.startedWithinMs;
  for (let seen = lookAt(directory); !seen.launcher && !seen.end; seen = lookAt(directory)) {
    if (performance.now() >= end || host.closing || !isDirectory(directory)) throw new Error("The run has not begun");
    await sleep(4);
  }
}
