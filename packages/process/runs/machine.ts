import { type ChildProcess, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { formatHostfile, hostfileDirectory, hostfileName } from "#core/ports/hostfile.ts";
import { type LocalPort, portVariables } from "../network/local-ports.ts";
import { enteringNetwork, joinPatiently, rejoinWhenLost } from "../network/network.ts";
import { hostsInside, listHostNames, machineHostName } from "../sandbox/host-name.ts";
import { handedOn, limited, limitTerminals } from "../sandbox/limits.ts";
import { systemPath } from "../sandbox/local-path.ts";
import { ownFile, sandboxOptions } from "../sandbox/sandbox.ts";
import { type Account, chooseAccount, giveUpRights, loginVariables } from "../sandbox/sandbox-user.ts";
import { refusedCalls, refusing, withRefused } from "../sandbox/system-calls.ts";
import { gitConfigFor } from "../sandbox/system-files.ts";
import { spareBin } from "../sandbox/tools.ts";
import type { Exit } from "../supervisor/exit.ts";
import { findChild, findProcess } from "../supervisor/process-identity.ts";
import { carried, type Inside } from "./inside.ts";
import type { LaunchPlan } from "./plan.ts";
import type { MachineRecord } from "./records.ts";
import { workDirectory } from "./run-directory.ts";
import { openWorkspace } from "./workspace.ts";

export interface Machine {
  readonly record: MachineRecord;
  readonly exit: Promise<Exit>;
  readonly inside: Inside;
  /** Starts the command, if it waits for the other machines. They start in the network of the first one. */
  begin(): void;
}

interface MachineRequest {
  readonly plan: LaunchPlan;
  readonly directory: string;
  readonly rank: number;
  /** Set only if there are several machines. */
  readonly masterPort: number | undefined;
  /** Empty except in the first machine. */
  readonly ports: readonly LocalPort[];
  /** First machine of the run, whose network this one shares. */
  readonly first: Inside | undefined;
  readonly output: number;
  readonly signal: AbortSignal;
  /** Called when the machine's own network loses or regains its connection to the host. */
  readonly sayJoined: (isJoined: boolean) => void;
}

export async function startMachine(request: MachineRequest): Promise<Machine> {
  return request.plan.isolation === "bubblewrap" ? startSandboxed(request) : startBare(request);
}

const idle = "exec tail -f /dev/null";
/** Time to read the sandbox's last output after it ended. */
const deafMs = 300;
/**
 * Hands the command to the shell in $0 as an argument. bubblewrap's own arguments, which every user can list, never
 * hold it. Writes to descriptor 5 once a SIGTERM would reach this shell. The command begins at the end of descriptor 6,
 * when the sandbox has its network and its limits.
 */
const handOn = `command=$BERTH_COMMAND; unset BERTH_COMMAND; echo >&5; exec 5>&-; read _ <&6; exec 6<&-; exec "$0" -c -- "$command"`;

async function startBare(request: MachineRequest): Promise<Machine> {
  const { plan, directory, rank, output, signal } = request;
  const { path: workspace, start, home, mounts } = await openWorkspace(plan, directory, rank);
  const account = chooseAccount(plan, home);
  // Without a sandbox, all machines are this host.
  const slots = formatHostfile(["localhost"], plan.machines * plan.gpusPerMachine);
  const hostfile = plan.machines > 1 ? ownFile(ownFilesDirectory(directory, rank), hostfileName, slots) : undefined;
  const env = buildEnvironment(request, { account, workspace, volumes: mounts.map(({ seen }) => seen), hostfile });
  const { limits } = plan;
  const command = [...handedOn(limits), account.shell, "-c", "--", plan.command ?? idle];
  const [file = "", ...args] = limited(limits, command);
  signal.throwIfAborted();
  const child = spawn(file, args, {
    cwd: start,
    env,
    detached: true,
    stdio: ["ignore", output, output],
  });
  const exit = getExit(child);
  const apart = { isolation: "none", network: "shared", sandbox: null } as const;
  const inside: Inside = { name: plan.name, ...apart, work: start, account, mounts, limits, env };
  return { record: { leader: await getLeader(child), sandbox: null }, exit, inside, begin: () => undefined };
}

async function startSandboxed(request: MachineRequest): Promise<Machine> {
  const { plan, directory, rank, output, signal } = request;
  const { path: workspace, start, home, mounts, binds } = await openWorkspace(plan, directory, rank);
  const { limits } = plan;
  const work = workDirectory(directory, rank);
  const account = chooseAccount(plan, home);
  const isSeveral = plan.machines > 1;
  const hostfile = isSeveral ? join(hostfileDirectory, hostfileName) : undefined;
  const env = buildEnvironment(request, { account, workspace, volumes: mounts.map(({ seen }) => seen), hostfile });
  const { env: variables, unpack } = carried({ ...env, BERTH_COMMAND: plan.command ?? idle });
  const { before, options: more, joins } = networkWords(request);
  const begins = ["/bin/sh", "-c", `${unpack}; ${handOn}`, account.shell];
  const refused = refusedCalls(plan.home, { isCounted: limits.group?.places.memory !== undefined });
  const sandboxed = ["bwrap", "--args", "3", "--info-fd", "4", ...refusing, ...more, "--", ...handedOn(limits)];
  const words = withRefused(refused, [...before, ...sandboxed, ...giveUpRights(), ...begins]);
  const [file = "", ...args] = limited(limits, words);
  signal.throwIfAborted();
  const child = spawn(file, args, {
    cwd: "/",
    env: { PATH: systemPath, BERTH_RUN: plan.name },
    detached: true,
    stdio: ["ignore", output, output, ...Array<"pipe">(5).fill("pipe")],
  });
  const exit = getExit(child);
  // Node drops the output of an ended process that has no listener.
  const begun = child.pid === undefined ? undefined : firstByte(extraOutput(child, 5));
  const leader = await getLeader(child);
  const shown = { home: plan.home, work, start, binds, programs: plan.programs.shown, network: plan.network };
  const options = sandboxOptions({
    ...shown,
    account,
    gitConfig: 7,
    host: {
      name: machineHostName(plan.hostName, rank),
      hosts: hostsInside(plan.hostName, plan.machines),
      hostfile: isSeveral
        ? formatHostfile(listHostNames(plan.hostName, plan.machines), plan.gpusPerMachine)
        : undefined,
    },
    ownFiles: ownFilesDirectory(directory, rank),
    memoryMb: limits.bounds.memoryMb,
    group: limits.group,
    env: { ...variables, PATH: systemPath },
  });
  const info = child.stdio[4] as Readable;
  tell(child, 3, options.map((word) => `${word}\0`).join(""));
  tell(child, 7, gitConfigFor(plan.env));
  const failure = exit
    .then(() => sleep(deafMs))
    .then(() => Promise.reject(new Error("the sandbox could not be created")));
  const [, pid = ""] = /"child-pid"\s*:\s*(\d+)/.exec(await Promise.race([wholeText(info), failure])) ?? [];
  await Promise.race([begun, failure]);
  await limitTerminals(pid);
  const joined = joins ? await Promise.race([joinPatiently(pid, plan.name, signal), failure]) : undefined;
  const sandbox = findProcess(Number(pid)) ?? null;
  if (joined && sandbox) void rejoinWhenLost({ sandbox, name: plan.name, signal, say: request.sayJoined }, joined.lost);
  const isolation = "bubblewrap";
  const apart = { isolation, network: plan.network, sandbox, refusedCalls: refused } as const;
  const inside: Inside = { name: plan.name, ...apart, work: start, account, mounts, limits, env };
  const begin = () => void extraOutput(child, 6).destroy();
  return { record: { leader, sandbox }, exit, inside, begin };
}

function networkWords({ plan, first }: MachineRequest) {
  const shared = { before: [], options: [], joins: false };
  if (plan.network === "shared") return shared;
  if (first?.sandbox) return { ...shared, before: enteringNetwork(String(first.sandbox.pid)) };
  return { ...shared, options: ["--unshare-net"], joins: true };
}

function getExit(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
}

async function getLeader(child: ChildProcess): Promise<MachineRecord["leader"]> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once("spawn", resolve).once("error", reject);
  await promise;
  const pid = child.pid ?? 0;
  return findChild(pid) ?? { pid, startedAt: "", boot: "" };
}

/** Node types only the first five streams of a child. */
function extraOutput(child: ChildProcess, descriptor: number): Readable {
  return (child.stdio as readonly unknown[])[descriptor] as Readable;
}

function tell(child: ChildProcess, descriptor: number, text: string): void {
  ((child.stdio as readonly unknown[])[descriptor] as Writable).on("error", () => undefined).end(text);
}

/** bubblewrap writes in several parts, and dies of SIGPIPE if the reader stops early. */
async function wholeText(stream: Readable): Promise<string> {
  let text = "";
  for await (const part of stream) text += String(part);
  return text;
}

/** bubblewrap keeps the other end open, so the stream never ends. */
function firstByte(stream: Readable): Promise<void> {
  return new Promise((resolve) => stream.once("data", () => resolve(void stream.destroy())));
}

/** Directory of the files that Berth writes for a machine. */
function ownFilesDirectory(directory: string, rank: number): string {
  return join(dirname(workDirectory(directory, rank)), "etc");
}

interface RunPaths {
  readonly account: Account;
  readonly workspace: string;
  readonly volumes: readonly string[];
  readonly hostfile: string | undefined;
}

/** Berth's own environment is not passed on, and the run cannot override the variables below its own. */
function buildEnvironment(
  { plan, rank, masterPort, ports }: MachineRequest,
  { account, workspace, volumes, hostfile }: RunPaths,
): Record<string, string> {
  const cluster = {
    NODE_RANK: String(rank),
    NNODES: String(plan.machines),
    WORLD_SIZE: plan.env.WORLD_SIZE ?? String(plan.machines * plan.gpusPerMachine),
    ...(hostfile !== undefined && { BERTH_HOSTFILE: hostfile }),
    MASTER_ADDR: "127.0.0.1",
    MASTER_PORT: String(masterPort),
  };
  return {
    PATH: `${plan.programs.path}:${spareBin(plan.home, plan.isolation)}`,
    LANG: "C.UTF-8",
    TERM: "dumb",
    ...loginVariables(account),
    ...plan.env,
    ...(masterPort === undefined ? {} : cluster),
    BERTH_GPUS: String(plan.gpusPerMachine),
    BERTH_RUN: plan.name,
    WORKSPACE: workspace,
    ...Object.fromEntries(volumes.map((path, n) => [`BERTH_VOLUME_${n + 1}`, path])),
    ...portVariables(ports),
  };
}
