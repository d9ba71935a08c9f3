import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  type Answered,
  type FailedInvocation,
  type Invocation,
  type RuntimeApi,
  startRuntimeApi,
} from "./runtime-api.ts";

export interface LambdaFunction {
  readonly name: string;
  readonly arn: string;
  readonly directory: string;
  /** Module and export: `index.handler`. */
  readonly handler: string;
  readonly memoryMb: number;
  readonly timeoutSeconds: number;
  readonly logGroup: string;
  /** Environment variables, without those that Lambda sets. */
  readonly environment: Readonly<Record<string, string>>;
  /** Addresses of hosts that only the function's network resolves, as in a private zone of Route 53. */
  readonly hosts: Readonly<Record<string, string>>;
  readonly credentials: Readonly<Record<"accessKeyId" | "secretAccessKey" | "sessionToken", string>>;
}

/** A process of a function, frozen between invocations as on Lambda. */
export interface ExecutionEnvironment {
  readonly pid: number;
  isOver(): boolean;
  /** Runs one invocation at a time. Failures are answers too. */
  invoke(invocation: Invocation): Promise<Answered>;
  end(): Promise<void>;
}

const bootstrap = fileURLToPath(new URL("../bootstrap.mjs", import.meta.url));

/** Length of the last output that error messages quote. */
const SAID_CHARACTERS = 2_000;

/** Starts a process and freezes it when it waits for its first invocation. Throws if its init fails. */
export async function startEnvironment(made: LambdaFunction): Promise<ExecutionEnvironment> {
  const api = await startRuntimeApi();
  const child = spawn(process.execPath, [...listArguments(made), bootstrap, JSON.stringify(made.hosts)], {
    cwd: made.directory,
    env: { ...made.environment, ...ownVariables(made), AWS_LAMBDA_RUNTIME_API: api.address },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const guard = endWithParent(child);
  const said = collect(child);
  const ended = once(child, "exit").then(async ([code, signal]) => {
    guard.kill("SIGKILL");
    await api.stop();
    return { errorType: "Runtime.ExitError", errorMessage: `Runtime exited: ${signal ?? code}. ${said()}` };
  });
  const failed = await Promise.race([api.asked(), ended]);
  if (failed) {
    await end(child);
    throw new Error(`${made.name}: ${failed.errorType}: ${failed.errorMessage}`);
  }
  child.kill("SIGSTOP");
  return {
    pid: child.pid ?? 0,
    isOver: () => isOver(child),
    invoke: (invocation) => invokeIn({ child, api, ended, made }, invocation),
    end: () => end(child),
  };
}

interface Running {
  readonly child: ChildProcess;
  readonly api: RuntimeApi;
  readonly ended: Promise<FailedInvocation>;
  readonly made: LambdaFunction;
}

/** Runs an invocation. Lambda ends the process after a time-out or an exit. */
async function invokeIn({ child, api, ended, made }: Running, invocation: Invocation): Promise<Answered> {
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<FailedInvocation>((resolve) => {
    const errorMessage = `Task timed out after ${made.timeoutSeconds}.00 seconds`;
    timer = setTimeout(() => resolve({ errorType: "Sandbox.Timedout", errorMessage }), made.timeoutSeconds * 1000);
  });
  child.kill("SIGCONT");
  const answered = api.hand(invocation);
  const stopped = Promise.race([timedOut, ended]).then((error): Answered => ({ error }));
  const answer = await Promise.race([answered, stopped]);
  // Background work of the handler may run until the process asks for the next invocation.
  const isWarm = answered.then(() => api.asked()).then(() => true);
  const goesOn = await Promise.race([isWarm, stopped.then(() => false)]);
  clearTimeout(timer);
  if (goesOn) child.kill("SIGSTOP");
  else await end(child);
  return answer;
}

async function end(child: ChildProcess): Promise<void> {
  if (isOver(child)) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Grants read access to the zip only, and the heap of Lambda's bootstrap: nine tenths of the memory. */
function listArguments({ directory, memoryMb }: LambdaFunction): string[] {
  const heapMb = Math.floor(memoryMb * 0.9);
  const names = [directory, bootstrap].map((path) => `--allow-fs-read=${path}`);
  return ["--permission", ...names, `--max-old-space-size=${heapMb}`];
}

/** Returns the variables that Lambda sets (Lambda Developer Guide, "Defined runtime environment variables"). */
function ownVariables({ name, handler, directory, memoryMb, logGroup, credentials }: LambdaFunction) {
  return {
    _HANDLER: handler,
    LAMBDA_TASK_ROOT: directory,
    LANG: "en_US.UTF-8",
    TZ: ":UTC",
    PATH: "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
    NODE_PATH: "/opt/nodejs/node_modules",
    AWS_REGION: "us-east-1",
    AWS_DEFAULT_REGION: "us-east-1",
    AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMb),
    AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
    AWS_LAMBDA_LOG_GROUP_NAME: logGroup,
    AWS_LAMBDA_LOG_STREAM_NAME: "2026/01/20/[$LATEST]0123456789abcdef0123456789abcdef",
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_SESSION_TOKEN: credentials.sessionToken,
  };
}

/** Kills the process when this one dies. A frozen process cannot notice that. */
function endWithParent({ pid }: ChildProcess): ChildProcess {
  const script = 'read -r _; kill -KILL "$1"';
  return spawn("/bin/sh", ["-c", script, "guard", String(pid)], { stdio: ["pipe", "ignore", "ignore"] });
}

function collect({ stdout, stderr }: ChildProcess): () => string {
  let said = "";
  for (const stream of [stdout, stderr]) {
    stream?.on("data", (part) => {
      said = `${said}${part}`.slice(-SAID_CHARACTERS);
    });
  }
  return () => said;
}
