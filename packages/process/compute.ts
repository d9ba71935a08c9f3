import { mkdirSync, realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Compute, Observation } from "#core/ports/compute.ts";
import { RunBound } from "#core/problem.ts";
import { readExec, startExec } from "./exec/exec.ts";
import { noteEndedLogin, writeNotice } from "./exec/notices.ts";
import { readOutput } from "./logs/output.ts";
import { findNetwork } from "./network/network-probe.ts";
import { postToPort } from "./pages/port-post.ts";
import { countWork } from "./pages/work.ts";
import { readAccess, writeAccess } from "./runs/access-record.ts";
import { applyRun } from "./runs/apply-run.ts";
import { type FollowedRuns, followChanges } from "./runs/changes.ts";
import {
  adoptRuns,
  endRuns,
  findPlace,
  findRef,
  type Host,
  leaveRuns,
  type ProcessComputeOptions,
} from "./runs/host.ts";
import { isAnswered, observe, readStatus, toProcessTree } from "./runs/observation.ts";
import { computeNode } from "./runs/pretend-node.ts";
import { type Isolation, type Network, readMark, readRun, writeEnd, writeMark } from "./runs/records.ts";
import {
  carryOn,
  endNow,
  forgetDraft,
  isDraft,
  nudge,
  type RunPlace,
  requestRemoval,
  requestTermination,
} from "./runs/removal.ts";
import { isDirectory, listRunNames, madeAt, markRemoved, runName } from "./runs/run-directory.ts";
import { describeLimitWay, findLimits, moveLimits } from "./sandbox/limits.ts";
import { systemPath } from "./sandbox/local-path.ts";
import { canSandbox } from "./sandbox/sandbox-probe.ts";
import { findLocking } from "./supervisor/lock.ts";
import { killTree } from "./supervisor/process-tree.ts";

export interface ProcessCompute extends Compute {
  readonly isolation: Isolation;
  readonly network: Network;
  readonly limits: string;
  /** Finishes what an earlier process left incomplete. Call this once at the start. */
  adopt(): Promise<void>;
  /** Kills all processes of a run, found by group and by BERTH_RUN, and removes it. */
  endRun(uid: string, run: number): Promise<void>;
  /** Kills every run within 1.5 s, and marks it as ended by the stack's stop. Nothing starts afterwards. */
  shutdown(): Promise<void>;
  /** Leaves every run to the next process that adopts it. Nothing starts afterwards. */
  leave(): Promise<void>;
}

const STARTED_WITHIN_MS = 1_500;
/** Most runs are gone by then, so the caller need not wait for the next observation. */
const removedWithinMs = 400;
/** Even an overloaded machine begins a run faster, so an older draft has failed. */
const draftMs = 60_000;

/**
 * Runs environments as processes of this machine (docs/architecture/embedded-stack.md). All its state is in the runs'
 * directories and the process table. So any number of instances, even after a restart, see and remove the same runs. On
 * macOS `isolation` is none, and a process that leaves its group outlives its run.
 */
export function processCompute(givenOptions: ProcessComputeOptions): ProcessCompute {
  mkdirSync(join(resolve(givenOptions.home), "runs"), { recursive: true, mode: 0o700 });
  const home = realpathSync(resolve(givenOptions.home));
  const isolation = givenOptions.isolation ?? (canSandbox() ? "bubblewrap" : "none");
  const network = isolation === "none" ? "shared" : (givenOptions.network ?? findNetwork());
  const limits = givenOptions.limits ?? findLimits(isolation);
  const programs = givenOptions.programs ?? { path: systemPath, shown: [] };
  const { locking = findLocking(), startedWithinMs = STARTED_WITHIN_MS } = givenOptions;
  const options = { ...givenOptions, home, isolation, network, programs, locking, limits, startedWithinMs };
  const host: Host = { runs: join(home, "runs"), options, applying: new Set(), closing: false };
  return {
    isolation,
    network,
    limits: describeLimitWay(limits),
    ...lifeMethods(host),
    ...changeMethods(host),
    ...insideMethods(host),
    ...listMethods(host),
    adopt: () => adoptRuns(host),
    endRun: (uid, run) => endRun(findPlace(host, runName(uid, run))),
    shutdown: () => endRuns(host),
    leave: () => leaveRuns(host),
  };
}

function lifeMethods(host: Host) {
  return {
    apply: (run) => tracked(host, applyRun(host, run)),
    observe: async (uid, run) => observeRun(host, findPlace(host, runName(uid, run))),
    // `apply` already starts all pretend machines of a run.
    begin: async () => undefined,
    terminate: async (uid, run, graceSeconds) => {
      const place = findPlace(host, runName(uid, run));
      if (isDirectory(place.directory)) requestTermination(place, Date.now() + graceSeconds * 1000);
      return true;
    },
    remove: async (uid, run, { graceSeconds, force, unlessBound }) => {
      const graceMs = force ? 0 : Math.max(0, graceSeconds || 0) * 1000;
      const place = findPlace(host, runName(uid, run));
      // The mark refuses a second start for an hour, even if no tombstone was requested.
      markRemoved(host.runs, place.name, Date.now());
      if (unlessBound) await removeDraft(place);
      else if (isDirectory(place.directory)) await requestRemoval(place, Date.now() + graceMs, removedWithinMs);
      return true;
    },
  } satisfies Partial<Compute>;
}

function changeMethods(host: Host) {
  return {
    extend: async (uid, run, until) => {
      const { directory } = findPlace(host, runName(uid, run));
      if (isDirectory(directory) && until > (readMark(directory, "until") ?? 0)) writeMark(directory, "until", until);
    },
    setAccess: async (uid, run, access) => {
      const { directory } = findPlace(host, runName(uid, run));
      if (isDirectory(directory) && writeAccess(directory, access)) nudge(directory);
    },
    resize: async (uid, run, resources, revision) => {
      const { directory } = findPlace(host, runName(uid, run));
      const made = readRun(directory);
      if (!made || revision < (readMark(directory, "resized") ?? 0)) return;
      writeMark(directory, "resized", revision);
      moveLimits(made.limits, resources);
    },
    tell: async (uid, run, notice) => {
      const { directory } = findPlace(host, runName(uid, run));
      if (isDirectory(directory)) writeNotice(directory, notice);
      const access = notice.kind === "end" ? readAccess(directory) : undefined;
      if (access) noteEndedLogin(host.options.home, access, notice);
    },
  } satisfies Partial<Compute>;
}

function insideMethods(host: Host) {
  return {
    countWork: async (uid, run) => countWork(findPlace(host, runName(uid, run))),
    startExec: (uid, run, exec) => startExec(findPlace(host, runName(uid, run)).directory, exec),
    readExec: (uid, run, id, waitMs) => readExec(findPlace(host, runName(uid, run)).directory, id, waitMs),
    postToPort: (uid, run, request) => postToPort(findPlace(host, runName(uid, run)).directory, request),
    readLog: async (uid, run) => readOutput(findPlace(host, runName(uid, run)).directory),
  } satisfies Partial<Compute>;
}

function listMethods(host: Host) {
  const { home, nodes } = host.options;
  return {
    // A run has no parts besides its directory.
    listParts: async () => [],
    listRuns: async (uid) => {
      const all = listRunNames(host.runs).flatMap((name) => findRef(host, name));
      return uid === undefined ? all : all.filter((run) => run.uid === uid);
    },
    changes: (signal) => followChanges(followedBy(host), signal),
    listNodes: async (names) => {
      return nodes.map((node) => computeNode(home, node)).filter(({ name }) => !names || names.has(name));
    },
    findSilence: async ({ uid }) => (nodes.some((node) => computeNode(home, node).uid === uid) ? null : "missing"),
    getMachineState: async () => "running",
  } satisfies Partial<Compute>;
}

/** Removes a run that has not begun. Throws `RunBound` once a supervisor has it. */
async function removeDraft(place: RunPlace): Promise<void> {
  if (isDirectory(place.directory)) await forgetDraft(place);
  if (isDirectory(place.directory)) throw new RunBound();
}

async function observeRun({ options }: Host, place: RunPlace): Promise<Observation | undefined> {
  const { directory, name } = place;
  if (!isDirectory(directory)) return undefined;
  const status = readStatus(directory);
  if (status.removal !== undefined) await carryOn(place, status);
  if (isDraft(status) && Date.now() > madeAt(directory) + draftMs) await forgetDraft(place);
  if (status.end && status.isEndUnwritten && (await killTree(toProcessTree(name, directory, status.processes), 200))) {
    writeEnd(directory, status.end);
  }
  const seen = readStatus(directory);
  // The end of this process may undo a draft. Reporting it as existing would later look like a lost run.
  if (isDraft(seen)) return undefined;
  const observation = await observe(directory, seen, options);
  return isDirectory(directory) ? observation : undefined;
}

function followedBy(host: Host): FollowedRuns {
  const { runs, options } = host;
  return {
    home: options.home,
    runs,
    all: () => listRunNames(runs).flatMap((name) => findRef(host, name)),
    isStarting: async (name) => {
      const { directory } = findPlace(host, name);
      const status = readStatus(directory);
      if (!status.supervisorLives || isAnswered(directory)) return false;
      return (await observe(directory, status, options)).state === "probe";
    },
  };
}

async function endRun(place: RunPlace): Promise<void> {
  if (isDirectory(place.directory)) writeMark(place.directory, "removal", Date.now());
  await endNow(place);
  if (isDirectory(place.directory)) await requestRemoval(place, Date.now(), removedWithinMs);
}

function tracked(host: Host, work: Promise<void>): Promise<void> {
  host.applying.add(work);
  return work.finally(() => host.applying.delete(work));
}
