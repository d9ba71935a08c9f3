import { closeSync, readFileSync, writeSync } from "node:fs";
import { openDoor } from "./door.ts";
import { keepExecs } from "./exec-keeper.ts";
import { askedToStop, countOomKills, type End, endOf, stackStopped } from "./exit.ts";
import { findFreePort } from "./free-port.ts";
import { keepJupyter } from "./jupyter.ts";
import { isOverMemory, makeLimits, removeLimits } from "./limits.ts";
import { openPorts } from "./local-ports.ts";
import { takeLock } from "./lock.ts";
import { type Machine, startMachine } from "./machine.ts";
import { openOutput } from "./output.ts";
import { type Placeholders, placeholdersOf } from "./placeholder.ts";
import type { LaunchPlan, LaunchReply } from "./plan.ts";
import { findProcess } from "./process-identity.ts";
import { killTree, type ProcessTree } from "./process-tree.ts";
import { readEnd, readLauncher, readMark, writeEnd, writeLauncher } from "./records.ts";
import { deleteRunDirectory } from "./run-directory.ts";
import { type Supervision, supervise } from "./supervision.ts";
import { volumeData } from "./volume-directory.ts";

/**
 * The program that starts one run and stays with it to its end: `launcher.ts <directory>`, the plan on standard
 * input, its reply on descriptor 3. It holds the lock of the run's directory while it lives.
 */
async function main(): Promise<void> {
  const directory = process.argv[2] ?? "";
  const asked = JSON.parse(readFileSync(0, "utf8")) as LaunchPlan;
  const lock = takeLock(directory, asked.locking);
  if (typeof lock === "string") return reply(lock);
  if (readLauncher(directory) || readEnd(directory)) return reply("known");
  const unwanted = reasonNotToStart(directory);
  if (unwanted !== undefined) return finish(directory, { exitCode: null, reason: unwanted }, false);

  const self = findProcess(process.pid);
  if (!self) throw new Error("This process cannot be found in the process table");
  const plan = { ...asked, limits: makeLimits(asked.limits) };
  const machines: Machine[] = [];
  const inside = () => machines[0]?.inside;
  const jupyter = keepJupyter(directory, inside);
  const execs = keepExecs(directory, inside);
  const placeholders = placeholdersOf(plan.image);
  const closeServers = () => {
    jupyter.close();
    placeholders.close();
  };
  const supervision = supervise(directory, { look: jupyter.look, close: closeServers }, execs);
  writeLauncher(directory, { launcher: self, started: false, machines: [] });
  openDoor(directory, (question) => {
    if (question.ask === "exec") return execs.start(question.exec);
    return question.ask === "wait" ? execs.wait(question.id, question.waitMs) : inside();
  });
  const end = await runMachines({ directory, plan, supervision, placeholders, machines }, () => {
    writeLauncher(directory, { launcher: self, started: true, machines: machines.map(({ record }) => record) });
    reply("started");
  });
  await killTree(treeOf(directory, plan, machines), Number.POSITIVE_INFINITY);
  await execs.end();
  await removeLimits(asked.limits);
  await finish(directory, end, machines.length > 0);
}

interface Launch {
  readonly directory: string;
  readonly plan: LaunchPlan;
  readonly supervision: Supervision;
  readonly placeholders: Placeholders;
  readonly machines: Machine[];
}

async function runMachines(launch: Launch, onStarted: () => void): Promise<End> {
  const { directory, plan, supervision, placeholders, machines } = launch;
  const oomKills = countOomKills();
  const output = openOutput(directory, plan.isolation);
  try {
    const masterPort = plan.machines > 1 ? await findFreePort() : undefined;
    const opened = await openPorts(directory, plan);
    for (let rank = 0; rank < plan.machines; rank += 1) {
      const ports = rank === 0 ? opened : [];
      const machine = await startMachine({ plan, directory, rank, masterPort, ports, output: output.descriptor });
      machines.push(machine);
    }
    placeholders.open(opened);
  } catch (error) {
    return { exitCode: null, reason: `command could not be started: ${wordsOf(error)}` };
  } finally {
    output.closeDescriptor();
  }
  onStarted();
  supervision.begin(treeOf(directory, plan, machines));
  const ends = machines.map(async ({ exit }) => {
    const exited = await exit;
    const memory = { oomKills: countOomKills() - oomKills, isOverLimit: isOverMemory(plan.limits) };
    const end = endOf(exited, { hasCommand: plan.command !== null, ...memory });
    if (end.exitCode !== 0) supervision.machineFailed(end);
    return end;
  });
  const [first] = await Promise.all(ends);
  supervision.close();
  const end = supervision.decidedEnd() ?? first ?? { exitCode: 0, reason: null };
  await killTree(treeOf(directory, plan, machines), Number.POSITIVE_INFINITY);
  await output.drain(500);
  return end;
}

function treeOf(directory: string, plan: LaunchPlan, machines: readonly Machine[]): ProcessTree {
  const leaders = machines.map(({ record }) => record.leader);
  const sandboxes = machines.flatMap(({ record }) => record.sandbox ?? []);
  const volumes = plan.mounts.map(({ volume }) => volumeData(plan.home, volume));
  return { name: plan.name, directory, volumes, leaders, sandboxes, limits: plan.limits };
}

function reasonNotToStart(directory: string): string | undefined {
  if (readMark(directory, "removal") !== undefined) return askedToStop;
  return readMark(directory, "stopped") === undefined ? undefined : stackStopped;
}

/** Nothing of the run lives any more: what is left of it is how it ended, or nothing when it is being removed. */
async function finish(directory: string, end: End, started: boolean): Promise<void> {
  writeEnd(directory, { started, ...end });
  if (readMark(directory, "removal") !== undefined) await deleteRunDirectory(directory);
  reply("ended");
  process.exit(0);
}

let replied = false;

/** The one who asked may be gone, which changes nothing. */
function reply(word: LaunchReply): void {
  if (replied) return;
  replied = true;
  try {
    writeSync(3, word);
    closeSync(3);
  } catch {
    return;
  }
}

/** An error's text may quote what it was given, and that is secret: only its code is repeated. */
function wordsOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return "the machine refused";
}

await main();
