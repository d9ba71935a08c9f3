import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { type LambdaFunction, startEnvironment } from "./environment.ts";
import { type RunningFunction, runFunction } from "./function.ts";

const directories: string[] = [];
const running: RunningFunction[] = [];

afterAll(async () => {
  await Promise.all(running.map((each) => each.stop()));
  await Promise.all(directories.map((path) => rm(path, { recursive: true, force: true })));
});

async function getFunction(source: string, changed: Partial<LambdaFunction> = {}): Promise<LambdaFunction> {
  const directory = await mkdtemp(join(tmpdir(), "berth-function-"));
  directories.push(directory);
  await writeFile(join(directory, "index.mjs"), source);
  return {
    name: "test-function",
    arn: "arn:aws:lambda:us-east-1:123456789012:function:test-function",
    directory,
    handler: "index.handler",
    memoryMb: 512,
    timeoutSeconds: 60,
    logGroup: "/berth/test/function",
    environment: { SETTING: "set" },
    hosts: {},
    credentials: { accessKeyId: "key", secretAccessKey: "secret", sessionToken: "session" },
    ...changed,
  };
}

async function run(source: string, changed: Partial<LambdaFunction> = {}): Promise<RunningFunction> {
  const made = runFunction(await getFunction(source, changed));
  running.push(made);
  return made;
}

const canReadStates = process.platform === "linux";

/** Returns the process state of proc(5), or "Z" if the process is gone. */
async function findState(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ") Z");
  return /\) (\w)/.exec(stat)?.[1];
}

test("a handler gets the event and the context of the invocation, and its answer is returned", async () => {
  const { invoke } = await run(
    "export const handler = async (event, context) => ({ event, context, left: context.getRemainingTimeInMillis() > 0 });",
  );

  const answered = await invoke({ one: "ü" });

  expect(answered).toEqual({
    value: {
      event: { one: "ü" },
      context: {
        awsRequestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        functionName: "test-function",
        invokedFunctionArn: "arn:aws:lambda:us-east-1:123456789012:function:test-function",
      },
      left: true,
    },
  });
});

test("the environment of a function contains its settings and those of Lambda", async () => {
  const { invoke } = await run("export const handler = async () => process.env;");

  const { value } = (await invoke({})) as { readonly value: Record<string, string> };

  const byLambda = ["AWS_", "_HANDLER", "_X_AMZN_TRACE_ID", "LAMBDA_TASK_ROOT", "LANG", "NODE_PATH", "PATH", "TZ"];
  expect(Object.keys(value).filter((name) => !byLambda.some((ownName) => name.startsWith(ownName)))).toEqual([
    "SETTING",
  ]);
  expect(value).toMatchObject({
    SETTING: "set",
    AWS_LAMBDA_FUNCTION_NAME: "test-function",
    AWS_SESSION_TOKEN: "session",
  });
});

test.each([
  ["writes where its zip is", "node:fs", "writeFileSync(new URL('more', import.meta.url), '')"],
  ["writes elsewhere", "node:fs", "writeFileSync('/tmp/berth-more', '')"],
  ["reads a file outside its zip", "node:fs", "readFileSync('/etc/passwd')"],
  ["starts a program", "node:child_process", "spawnSync('true')"],
])("an invocation that %s is refused", async (_, module, call) => {
  const { invoke } = await run(
    `import * as it from "${module}"; import { readFileSync } from "node:fs";
    export const handler = async () => { readFileSync(new URL(import.meta.url)); it.${call}; };`,
  );

  expect(await invoke({})).toMatchObject({ error: { errorMessage: expect.stringContaining("permission") } });
});

test("a process is frozen between invocations, and the next one thaws it", async ({ skip }) => {
  if (!canReadStates) skip("states of processes are read from /proc");
  const environment = await startEnvironment(await getFunction("export const handler = async (event) => event;"));
  const invocation = { id: "one", functionArn: "arn", event: 1, deadlineAt: Date.now() + 60_000 };

  await expect.poll(() => findState(environment.pid)).toBe("T");
  expect(await environment.invoke(invocation)).toEqual({ value: 1 });
  await expect.poll(() => findState(environment.pid)).toBe("T");
  expect(await environment.invoke({ ...invocation, id: "two", event: 2 })).toEqual({ value: 2 });

  await environment.end();
});

const counting = "let count = 0; const next = () => { count += 1; return count; };";

test("one process serves successive invocations, and concurrent ones get one each", async () => {
  const { invoke } = await run(`${counting} export const handler = async () => next();`);

  const following = [await invoke({}), await invoke({})];
  const together = await Promise.all([invoke({}), invoke({})]);

  expect(following).toEqual([{ value: 1 }, { value: 2 }]);
  expect(together).toEqual([{ value: 3 }, { value: 1 }]);
});

test("a handler that throws fails its invocation, and its process continues", async () => {
  const { invoke } = await run(
    `${counting} export const handler = async () => { if (next() === 1) throw new RangeError("no"); return count; };`,
  );

  expect([await invoke({}), await invoke({})]).toEqual([
    { error: { errorType: "RangeError", errorMessage: "no" } },
    { value: 2 },
  ]);
});

test.each([
  ["takes longer than its timeout", "await new Promise((resolve) => setTimeout(resolve, 600_000))", /Sandbox.Timedout/],
  ["ends its process", "process.exit(3)", /Runtime.ExitError.*exited: 3/],
  [
    "needs more memory than it has",
    "const all = []; for (;;) all.push(new Array(100_000).fill({}))",
    /ExitError.*heap/s,
  ],
])("a handler that %s fails, and the next invocation gets a new process", async (_, doing, error) => {
  const { invoke } = await run(
    `${counting} export const handler = async ({ fails }) => { if (fails) { ${doing}; } return next(); };`,
    { timeoutSeconds: doing.includes("setTimeout") ? 1 : 60, memoryMb: 128 },
  );
  expect(await invoke({})).toEqual({ value: 1 });

  const failed = await invoke({ fails: true });

  expect(JSON.stringify(failed)).toMatch(error);
  expect(await invoke({})).toEqual({ value: 1 });
});

test("a heap grows to nine tenths of the memory", async () => {
  const source = `import { getHeapStatistics } from "node:v8";
    export const handler = async () => getHeapStatistics().heap_size_limit;`;
  const functions = await Promise.all([128, 512].map((memoryMb) => run(source, { memoryMb })));

  const [small, large] = await Promise.all(functions.map(({ invoke }) => invoke({})));

  // The limit includes the young generation, which has the same size in both.
  const limits = [small, large].map((answered) => (answered as { readonly value: number }).value);
  expect((limits[1] ?? 0) - (limits[0] ?? 0)).toBe((460 - 115) * 1024 * 1024);
});

test("an answer of more than 6 MB is refused", async () => {
  const { invoke } = await run("export const handler = async (size) => 'x'.repeat(size);");

  expect(await invoke(6_291_456 - 2)).toEqual({ value: "x".repeat(6_291_454) });
  expect(await invoke(6_291_456)).toMatchObject({ error: { errorType: "Function.ResponseSizeTooLarge" } });
});

test.each([
  ["throws while it is loaded", "throw new Error('no settings')", "no settings"],
  ["has no handler", "export const other = 1", "index.handler is not a function"],
])("a module that %s is refused", async (_, source, message) => {
  const { invoke } = await run(source);

  await expect(invoke({})).rejects.toThrow(message);
});

test("a frozen process ends with its parent", async ({ skip }) => {
  if (!canReadStates) skip("states of processes are read from /proc");
  const made = await getFunction("export const handler = async () => 1;");
  const script = `
    const { startEnvironment } = await import(${JSON.stringify(new URL("environment.ts", import.meta.url).href)});
    const { pid } = await startEnvironment(${JSON.stringify(made)});
    console.log(pid);
    setInterval(() => undefined, 1_000);`;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = await once(parent.stdout, "data");
  const pid = Number(said);
  await expect.poll(() => findState(pid)).toBe("T");

  parent.kill("SIGKILL");

  await expect.poll(() => findState(pid)).toBe("Z");
});
