import { type ChildProcess, spawn } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { spawn as openTerminal } from "@lydell/node-pty";
import { afterEach, beforeEach, expect, test } from "vitest";
import { canListProcesses, eventually, processesOfHome, processesOfRun } from "../../../tests/e2e/processes.ts";
import { runProgram } from "../../../tests/e2e/program.ts";
import { freePort } from "../../../tests/fixtures/free-port.ts";
import { findProcess } from "../../process/supervisor/process-identity.ts";
import { type CliAnswer, cleanEnvironment } from "../cli-fixture.ts";

let place: string;
let home: string;
let port: string;
beforeEach(async () => {
  port = String(await freePort());
  place = mkdtempSync(join(tmpdir(), "berth-stack-"));
  home = join(place, "home");
});
afterEach(async () => {
  await berth("stack", "stop", "--all");
  if (canListProcesses)
    await eventually(
      () => processesOfHome(home, new Set()),
      (left) => left.length === 0,
    );
  rmSync(place, { recursive: true });
});

const program = join(import.meta.dirname, "../berth.mjs");

function berth(...words: string[]): Promise<CliAnswer> {
  return berthWith({}, ...words);
}

function berthWith(settings: Readonly<Record<string, string>>, ...words: string[]): Promise<CliAnswer> {
  const ownValue = {
    BERTH_HOME: home,
    XDG_CONFIG_HOME: join(place, "config"),
    PORT: port,
    LOCAL_NODES: "c7i.8xlarge=2",
  };
  const env = { ...cleanEnvironment(), ...ownValue, ...settings };
  return runProgram(process.execPath, [program, ...words], { env, timeout: 0 });
}

function stackPid(): number {
  return JSON.parse(readFileSync(join(home, "stack.json"), "utf8")).process.pid;
}

test("a stack in the background starts, stops, and takes its environments over again", async () => {
  expect(await berth("stack", "status")).toMatchObject({ code: 7, stdout: `No stack runs in ${home}.\n` });
  expect(await berth("stack", "start")).toMatchObject({ code: 0, stdout: /^The stack runs at http:/ });
  expect((await berth("stack", "start")).stdout).toMatch(/^The stack runs already at http:/);
  expect((await berth("stack", "status")).stdout).toMatch(/^State +ready$/m);
  expect((await berth("up", "-t", "cpu", "lives", "--", "sleep 600")).code).toBe(0);
  const [{ run, pid }] = listRuns(home) as [{ run: string; pid: number }];

  expect((await berth("stack", "stop")).stdout).toContain("Its environments go on");
  expect((await berth("stack", "status", "--json")).stdout).toBe(`{"running":false,"home":"${home}"}\n`);
  expect(processesOfRun(run).map((each) => each.pid)).toContain(pid);

  const again = JSON.parse((await berth("stack", "start", "--json")).stdout);
  expect(again).toMatchObject({ running: true, home, pid: stackPid() });
  expect((await berth("ls")).stdout).toMatch(/ lives +active /);
  expect((await berth("ssh", "lives", "--", "echo inside")).stdout).toBe("inside\n");
  expect(processesOfRun(run).map((each) => each.pid)).toContain(pid);
  expect((await berth("stack", "logs")).stdout).toMatch(/Stopping, and leaving 1 environment: developer\/lives\n/);

  expect((await berth("stack", "stop", "--all")).stdout).toContain("ended its environments");
  expect(processesOfRun(run)).toEqual([]);
  expect((await berth("stack", "stop")).code).toBe(0);
});

test("a stop does not end a stack in the foreground of a terminal, and says how to end it", async () => {
  const env = { ...cleanEnvironment(), BERTH_HOME: home, PORT: port, LOCAL_NODES: "c7i.8xlarge=2" };
  const root = join(import.meta.dirname, "../../..");
  const terminal = openTerminal(process.execPath, ["scripts/start.mjs"], { cwd: root, env });
  const ended = new Promise((resolve) => terminal.onExit(resolve));
  await eventually(
    () => berth("stack", "status"),
    ({ code }) => code === 0,
  );
  const pid = stackPid();

  const [stop, stopAll] = [await berth("stack", "stop"), await berth("stack", "stop", "--all", "--json")];

  const words = `error: The stack (pid ${pid}) runs in a terminal, as npm start does\nhint: Press Ctrl-C there, or run: kill`;
  expect(stop).toMatchObject({ code: 1, stdout: "", stderr: `${words} -USR2 ${pid}\n` });
  expect(stopAll).toMatchObject({ code: 1, stdout: "", stderr: `${words} -TERM ${pid}\n` });
  expect((await berth("stack", "status")).code).toBe(0);
  terminal.write("\u0003");
  await ended;
  expect(await berth("stack", "stop")).toMatchObject({ code: 0, stderr: `No stack runs in ${home}.\n` });
});

/** The runs of a home, each with its first process. */
function listRuns(of: string) {
  const seen = processesOfHome(of, new Set()).map(({ environment, pid }) => ({
    run: environment.get("BERTH_RUN"),
    pid,
  }));
  return seen.filter(({ run }) => run !== undefined);
}

test("one of two concurrent starts starts the stack, and the other reports that", async () => {
  const answers = await Promise.all([berth("stack", "start"), berth("stack", "start")]);

  expect(answers.map(({ code }) => code)).toEqual([0, 0]);
  const words = answers.map(({ stdout }) => stdout.replace(/ at http:.*/s, "")).toSorted();
  expect(words.slice(1)).toEqual(["The stack runs"]);
  expect(words[0]).toMatch(/^(Another command started the stack|The stack runs already)$/);
  const urls = new Set(answers.map(({ stdout }) => /http:\S+/.exec(stdout)?.[0]));
  expect(urls.size).toBe(1);
});

test.for(["stack.log", "format"])("a stop ends a start that has written its %s", async (file, { skip }) => {
  if (!canListProcesses) skip("only Linux shows the processes of a home");
  const starting = berth("stack", "start");
  const stack = await eventually(
    () => processesOfHome(home, new Set()).find(({ command }) => command.includes("scripts/start.mjs")),
    (found) => found !== undefined && existsSync(join(home, file)),
  );
  const pid = stack?.pid ?? 0;
  // The start cannot finish before the stop has found it.
  process.kill(pid, "SIGSTOP");
  const stopping = berth("stack", "stop");
  await eventually(
    () => readFileSync(`/proc/${pid}/status`, "utf8"),
    (status) => isPending(status, "SIGUSR2"),
  );
  process.kill(pid, "SIGCONT");

  const [stopped, started] = await Promise.all([stopping, starting]);

  expect(stopped).toMatchObject({ code: 0, stdout: /^Stopped\. Its environments go on/ });
  expect(started).toMatchObject({ code: 1, stdout: "" });
  expect(started.stderr).toContain("error: Another command stopped the start\n");
  expect(await berth("stack", "status")).toMatchObject({ code: 7, stdout: `No stack runs in ${home}.\n` });
  expect(processesOfHome(home, new Set())).toEqual([]);
});

/** Reports whether a process has yet to receive a signal, by its /proc/PID/status (proc(5)). */
function isPending(status: string, signal: NodeJS.Signals): boolean {
  const [, mask = ""] = /^ShdPnd:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  return (BigInt(`0x${mask}`) & (1n << BigInt(constants.signals[signal] - 1))) !== 0n;
}

test("a start whose port is taken prints why, and leaves nothing", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const taken = (server.address() as AddressInfo).port;

  const { code, stdout, stderr } = await berthWith({ PORT: String(taken) }, "stack", "start");

  server.close();
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(
    new RegExp(`Port ${taken} is .*\nSet PORT to another port[^]*\nerror: The stack did not start\nhint: `),
  );
  expect((await berth("stack", "status")).code).toBe(7);
});

test("a stop does not end another process that has the pid of a stack", async () => {
  await berth("stack", "start");
  const stranger = spawn("sleep", ["600"], { stdio: "ignore" });
  await berth("stack", "stop");
  const path = join(home, "stack.json");
  const record = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...record, stopped: false, process: { ...record.process, pid: stranger.pid } }));

  const { code, stderr } = await berth("stack", "stop", "--all");

  expect([code, stderr]).toEqual([0, expect.stringContaining(`No stack runs in ${home}.`)]);
  expect(findProcess(stranger.pid ?? 0)).toBeDefined();
  await ended(stranger);
});

function ended(child: ChildProcess): Promise<unknown> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill();
  return gone;
}

test("a home with other files, or with a log that is a link, is refused", async () => {
  writeFileSync(join(place, "mine.txt"), "mine");
  expect(await berthWith({ BERTH_HOME: place }, "stack", "start")).toMatchObject({ code: 1, stdout: "" });

  await berth("stack", "start");
  await berth("stack", "stop");
  rmSync(join(home, "stack.log"));
  symlinkSync(join(place, "mine.txt"), join(home, "stack.log"));
  const { code, stderr } = await berth("stack", "start");
  expect([code, stderr]).toEqual([1, expect.stringContaining("stack.log cannot be written: ELOOP")]);
  expect(readFileSync(join(place, "mine.txt"), "utf8")).toBe("mine");
});

test("the log of a stack is moved aside at 10 MiB, at a start and while the stack runs", async () => {
  const [log, old] = [join(home, "stack.log"), join(home, "stack.log.1")];
  const filler = "x".repeat(10 * 1024 * 1024);
  mkdirSync(home, { mode: 0o700 });
  writeFileSync(log, `${filler}before\n`);

  await berth("stack", "start");
  // A start returns once the API answers, and the stack may print its first line after that.
  await eventually(
    () => readFileSync(log, "utf8"),
    (text) => /^[^x]*127\.0\.0\.1/.test(text),
  );
  expect(readFileSync(old, "utf8")).toMatch(/before\n$/);

  appendFileSync(log, `${filler}during\n`);
  await berth("up", "-t", "cpu", "logged", "--", "true");
  await eventually(
    () => readFileSync(log, "utf8"),
    (text) => /logged/.test(text),
  );
  expect(statSync(log).size).toBeLessThan(filler.length);
  expect(readFileSync(old, "utf8")).toContain("xduring\n");
  expect((await berth("stack", "logs")).stdout).toContain("logged");
  expect(readdirSync(home).filter((name) => name.startsWith("stack.log"))).toHaveLength(2);
});
