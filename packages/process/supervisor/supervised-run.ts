import { AsyncLocalStorage } from "node:async_hooks";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ExecSupervisor, type ExecTools, superviseExecs } from "../exec/exec-supervisor.ts";
import { openOutput } from "../logs/output.ts";
import { createForwards, type Forwards } from "../network/forwards.ts";
import { findFreePort, openPorts } from "../network/local-ports.ts";
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
import { heldVolumes } from "../volumes/volume-directory.ts";
import { openControlSocket, type Question } from "./control-socket.ts";
import { askedToStop, countOomKills, describeEnd, type End, stackStopped, supervisorFailed } from "./exit.ts";
import { takeLockInTurn } from "./lock.ts";
import type { ProcessIdentity } from "./process-identity.ts";
import { killTree, type ProcessTree } from "./process-tree.ts";
import { type Supervision, supervise } from "./supervision.ts";

export interface SupervisedRun {
  /** Rejects if the run could not be examined. */
  readonly reply: Promise<LaunchReply>;
  readonly over: Promise<void>;
  check(): void;
  kill(): void;
  /** Ends only this run after an error in its handling. */
  fail(error: unknown): void;
}

export interface SupervisorTools extends ExecTools {
  readonly self: ProcessIdentity;
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
  /** Aborted when code-server must not start any more. */
  readonly ide: AbortController;
  readonly supervision: Supervision;
  readonly failure: Promise<never>;
  readonly stop: AbortController;
  readonly answer: (word: LaunchReply) => void;
  readonly noteChange: () => void;
}

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
  // Errors in these calls belong to this run, regardless of their caller.
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

/** Once `processes.json` exists, the run cannot start again, so every later failure is an end. */
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

/** On a full disk the state is not recorded, but the network is still reconnected. */
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
  return {
    name: plan.name,
    directory,
    volumes: () => heldVolumes(directory),
    leaders: machines.map(({ record }) => record.leader),
    sandboxes: machines.flatMap(({ record }) => record.sandbox ?? []),
    limits: plan.limits,
  };
}

/** Records the end. For a requested removal, returns the directory to discard. */
function finish(directory: string, end: EndRecord): string | undefined {
  if (!isDirectory(directory)) return undefined;
  writeEnd(directory, end);
  if (readMark(directory, "removal") === undefined) return undefined;
  forgetAccess(directory);
  return takeRunDirectoryAway(directory);
}

const againAfterMs = 1_000;

/** Retries, for example on a full disk. The run counts as living until then. */
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

/** Reports only the code of an error, because its message may quote secrets. */
function notStarted(error: unknown): string {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
  return `command could not be started: ${code ?? "the machine refused"}`;
}
