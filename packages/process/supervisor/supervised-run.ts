import { AsyncLocalStorage } from "node:async_hooks";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ExecSupervisor, type ExecTools, superviseExecs } from "../exec/exec-supervisor.ts";
import { openOutput } from "../logs/output.ts";
import { createForwards, type Forwards } from "../network/forwards.ts";
import { findFreePort } from "../network/free-port.ts";
import { openPorts } from "../network/local-ports.ts";
import { adviceOnIde, serveIde } from "../pages/ide.ts";
import { superviseJupyter } from "../pages/jupyter.ts";
import { createPlaceholders, type Placeholders } from "../pages/placeholder.ts";
import { forgetAccess } from "../runs/access-record.ts";
import { noteChange } from "../runs/changes.ts";
import { type Machine, startMachine } from "../runs/machine.ts";
import type { LaunchPlan, LaunchReply } from "../runs/plan.ts";
import {
  type EndRecord,
  forgetMark,
  readEnd,
  readMark,
  readProcesses,
  readRun,
  writeEnd,
  writeMark,
  writeProcesses,
} from "../runs/records.ts";
import { isDirectory, takeRunDirectoryAway } from "../runs/run-directory.ts";
import { isOverMemory, makeLimits, removeLimits } from "../sandbox/limits.ts";
import { discard } from "../volumes/discard.ts";
import { volumeData } from "../volumes/volume-directory.ts";
import { openControlSocket, type Question } from "./control-socket.ts";
import { askedToStop, countOomKills, describeEnd, type End, stackStopped, supervisorFailed } from "./exit.ts";
import { takeLockInTurn } from "./lock.ts";
import type { ProcessIdentity } from "./process-identity.ts";
import { killTree, type ProcessTree } from "./process-tree.ts";
import { type Supervision, supervise } from "./supervision.ts";

/** A run from its start to its end, as its supervisor holds it. */
export interface SupervisedRun {
  /** For whoever asked for it; rejects when it could not even be looked at. */
  readonly reply: Promise<LaunchReply>;
  /** Resolves, whatever happens, when nothing of it is left to be done. */
  readonly over: Promise<void>;
  /** See `Supervision`. */
  check(): void;
  kill(): void;
  /** Something in its handling failed: it is ended, and nothing else is. */
  fail(error: unknown): void;
}

/** What all runs of a supervisor share. */
export interface SupervisorTools extends ExecTools {
  readonly self: ProcessIdentity;
  /** Notes what should not have happened. */
  readonly report: (error: unknown) => void;
}

interface Handled {
  readonly directory: string;
  readonly plan: LaunchPlan;
  readonly tools: SupervisorTools;
  readonly machines: Machine[];
  readonly execs: ExecSupervisor;
  readonly placeholders: Placeholders;
  readonly forwards: Forwards;
  /** Aborted once code-server is started no more. */
  readonly ide: AbortController;
  readonly supervision: Supervision;
  /** Rejects when something in its handling failed. */
  readonly failure: Promise<never>;
  readonly stop: AbortController;
  readonly answer: (word: LaunchReply) => void;
  /** Leaves word that it began, ended or is gone. */
  readonly noteChange: () => void;
}

/** Starts a run and stays with it to its end, holding the lock of its directory. */
export function superviseRun(plan: LaunchPlan, tools: SupervisorTools): SupervisedRun {
  const directory = join(plan.home, "runs", plan.name);
  const reply = Promise.withResolvers<LaunchReply>();
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  const machines: Machine[] = [];
  const inside = () => machines[0]?.inside;
  const forwards = createForwards(directory, plan, inside);
  const jupyter = superviseJupyter(directory, inside, forwards, plan);
  const execs = superviseExecs(directory, inside, tools);
  const placeholders = createPlaceholders(plan.image, adviceOnIde(plan));
  const ide = new AbortController();
  const close = () => {
    jupyter.close();
    ide.abort();
    execs.close();
    placeholders.close();
  };
  const supervision = supervise(directory, { check: jupyter.check, close });
  const key = readRun(directory)?.key ?? "";
  const handled: Handled = {
    directory,
    plan,
    tools,
    machines,
    execs,
    placeholders,
    forwards,
    ide,
    supervision,
    failure: failure.promise,
    stop: new AbortController(),
    answer: reply.resolve,
    noteChange: () => noteChange(dirname(directory), plan.name, key),
  };
  const over = handle(handled).catch((error: unknown) => {
    tools.report(error);
    reply.reject(error);
  });
  // Whatever a look begins belongs to this run, whoever asked for it.
  const [poll, kill] = [AsyncLocalStorage.bind(supervision.check), AsyncLocalStorage.bind(supervision.kill)];
  return { reply: reply.promise, over, check: poll, kill, fail: failure.reject };
}

async function handle(run: Handled): Promise<void> {
  const { directory, plan, answer } = run;
  const lock = await takeLockInTurn(directory, plan.locking);
  if (typeof lock === "string") return answer(lock);
  let grave: string | undefined;
  try {
    if (readProcesses(directory) || readEnd(directory)) return answer("known");
    const unwanted = reasonNotToStart(directory);
    const end = unwanted === undefined ? await live(run) : { started: false, exitCode: null, reason: unwanted };
    grave = await untilDone(run, () => finish(directory, end));
  } finally {
    lock.release();
  }
  run.noteChange();
  answer("ended");
  if (grave !== undefined) await discard(grave);
}

function reasonNotToStart(directory: string): string | undefined {
  if (readMark(directory, "removal") !== undefined) return askedToStop;
  return readMark(directory, "stopped") === undefined ? undefined : stackStopped;
}

/** From the first line on the run is never started again, so whatever fails after it is an end. */
async function live(run: Handled): Promise<EndRecord> {
  const { directory, plan, tools, machines, execs, forwards, supervision, stop } = run;
  writeProcesses(directory, { supervisor: tools.self, started: false, machines: [] });
  const socket = openControlSocket(directory, (question: Question) => {
    if (question.ask === "exec") return execs.start(question.exec);
    return question.ask === "wait" ? execs.wait(question.id, question.waitMs) : machines[0]?.inside;
  });
  forwards.begin();
  const end = await Promise.race([runMachines(run), run.failure]).catch((error: unknown): End => {
    tools.report(error);
    return { exitCode: null, reason: machines.length > 0 ? supervisorFailed : notStarted(error) };
  });
  stop.abort();
  supervision.close();
  await untilDone(run, async () => {
    await killTree(getTree(run), Number.POSITIVE_INFINITY);
    await execs.end();
  });
  socket.close();
  forwards.close();
  await removeLimits(plan.limits);
  return { started: machines.length > 0, ...end };
}

async function runMachines(run: Handled): Promise<End> {
  const { directory, machines, supervision, placeholders, forwards, tools } = run;
  const plan = { ...run.plan, limits: makeLimits(run.plan.limits) };
  const oomKills = countOomKills();
  const output = openOutput(directory, await tools.takeFifo(), plan.isolation);
  try {
    const masterPort = plan.machines > 1 ? await findFreePort() : undefined;
    const opened = await openPorts(directory, plan);
    await Promise.all(opened.map(({ local, hasPlaceholder }) => !hasPlaceholder && forwards.open(local)));
    await placeholders.open(opened);
    const shared = { plan, directory, masterPort, output: output.descriptor, signal: run.stop.signal };
    for (let rank = 0; rank < plan.machines; rank += 1) {
      const options = { ...shared, rank, ports: rank === 0 ? opened : [], first: machines[0]?.inside };
      machines.push(await startMachine({ ...options, sayJoined: (isJoined) => sayJoined(run, isJoined) }));
    }
    for (const { begin } of machines) begin();
    const serving = serveIde({ ...run, inside: machines[0]?.inside, ports: opened, signal: run.ide.signal });
    serving.catch(tools.report);
  } catch (error) {
    return { exitCode: null, reason: notStarted(error) };
  } finally {
    output.closeDescriptor();
  }
  const records = machines.map(({ record }) => record);
  writeProcesses(directory, { supervisor: tools.self, started: true, machines: records });
  run.noteChange();
  run.answer("started");
  supervision.begin(getTree(run));
  const ends = machines.map(async ({ exit }) => {
    const exited = await exit;
    const memory = { oomKills: countOomKills() - oomKills, isOverLimit: isOverMemory(plan.limits) };
    const end = describeEnd(exited, { hasCommand: plan.command !== null, ...memory });
    if (end.exitCode !== 0) supervision.machineFailed(end);
    return end;
  });
  const [first] = await Promise.all(ends);
  supervision.close();
  const end = supervision.decidedEnd() ?? first ?? { exitCode: 0, reason: null };
  await killTree(getTree(run), Number.POSITIVE_INFINITY);
  await output.drain(500);
  return end;
}

/** On a full disk it is not said, and joined again all the same. */
function sayJoined({ directory, noteChange }: Handled, isJoined: boolean): void {
  try {
    if (isJoined) forgetMark(directory, "cut-off");
    else writeMark(directory, "cut-off", Date.now());
  } catch {
    return;
  }
  noteChange();
}

function getTree({ directory, plan, machines }: Handled): ProcessTree {
  const leaders = machines.map(({ record }) => record.leader);
  const sandboxes = machines.flatMap(({ record }) => record.sandbox ?? []);
  const volumes = plan.mounts.map(({ volume }) => volumeData(plan.home, volume));
  return { name: plan.name, directory, volumes, leaders, sandboxes, limits: plan.limits };
}

/** Nothing of the run lives any more: what is left of it is how it ended, or nothing when it is being removed. */
function finish(directory: string, end: EndRecord): string | undefined {
  if (!isDirectory(directory)) return undefined;
  writeEnd(directory, end);
  if (readMark(directory, "removal") === undefined) return undefined;
  forgetAccess(directory);
  return takeRunDirectoryAway(directory);
}

const againAfterMs = 1_000;

/** A run that cannot be ended now, as on a full disk, is ended later: until then it counts as one that lives. */
async function untilDone<Result>({ tools }: Handled, act: () => Result | Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      tools.report(error);
      await sleep(againAfterMs);
    }
  }
}

/** An error's text may quote what it was given, and that is secret: only its code is repeated. */
function notStarted(error: unknown): string {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
  return `command could not be started: ${code ?? "the machine refused"}`;
}
