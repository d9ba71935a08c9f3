import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { toolsSources } from "../../scripts/images/tools-programs.ts";
import { listDescendants } from "./container/descendants.ts";
import { isAlive, openSupervisor, type SupervisorFixture, staying, until } from "./container/supervisor-fixture.ts";

let fixture: SupervisorFixture;

beforeEach(async () => {
  fixture = await openSupervisor();
});

afterEach(() => fixture.close());

const sh = (script: string) => ["/bin/sh", "-c", script];
/** Starts the supervisor as pid 1 of its own pid namespace. */
const asFirst = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--as-pid-1", "--proc", "/proc"];

describe("the sources of the tools image", () => {
  it("are formatted and pass vet", async () => {
    const go = (command: string, ...args: string[]) => promisify(execFile)(command, args, { cwd: toolsSources });

    expect((await go("gofmt", "-l", ".")).stdout).toBe("");
    await go("go", "vet", "./...");
  });
});

describe("the command of a run", () => {
  it("gets its exact arguments and variables, writes to the container's output, and ends with its code", async () => {
    const odd = "a b\n'\"$(id) `id` \\ $HOME * é🚀\n";
    const long = "x".repeat(16 * 1024);
    const script = 'printf "%s|" "$@" "$ODD" | tee "$OUT"; echo problem >&2; exit 7';

    const run = await fixture.run([...sh(script), "sh", odd, "", "-n", long], {
      env: { ODD: odd, OUT: fixture.file("out") },
      isShort: true,
    });

    expect(await run.exit).toBe(7);
    expect(readFileSync(fixture.file("out"), "utf8")).toBe([odd, "", "-n", long, odd, ""].join("|"));
    expect(run.output()).toContain(`|-n|${long}|`);
    expect(run.output()).toContain("problem\n");
    expect(run.lastWords()).toEqual({ started: true, exitCode: 7 });
  });

  it.each([
    ["by a signal", sh("kill -KILL $$"), 137, { started: true, signal: 9 }],
    ["with the code that a signal would have", sh("exit 137"), 137, { started: true, exitCode: 137 }],
    ["well", ["true"], 0, { started: true, exitCode: 0 }],
  ])("that ends %s is distinguished from the others", async (_, words, code, lastWords) => {
    const run = await fixture.run(words, { isShort: true });

    expect(await run.exit).toBe(code);
    expect(run.lastWords()).toEqual(lastWords);
  });

  it.each([
    ["is not there", ["no-such-program"], 127],
    ["is not there at its path", ["/no/such/program"], 127],
    ["is no program", ["/etc/passwd"], 126],
    ["is a directory", ["/etc"], 126],
  ])("that %s is reported, as never started", async (_, words, code) => {
    const run = await fixture.run(words, { isShort: true });

    expect(await run.exit).toBe(code);
    expect(run.output()).toContain(words[0]);
    expect(run.lastWords()).toEqual({ started: false, problem: expect.stringContaining(words[0] ?? "") });
  });

  it("gets the shell of busybox if its image has none", async () => {
    writeFileSync(fixture.file("busybox"), '#!/bin/bash\necho "busybox as $0 with $*"\n', { mode: 0o755 });

    const run = await fixture.run(["/missing/sh", "-c", "true"], { isShort: true });

    expect(await run.exit).toBe(0);
    expect(run.output()).toContain("with -c true");
  });

  it("has no input and no open file of its supervisor", async () => {
    const run = await fixture.run(sh("cat; ls -l /proc/self/fd; trap"), { isShort: true });

    expect(await run.exit).toBe(0);
    expect(run.output()).toContain("/dev/null");
    expect(run.output()).not.toContain(`${fixture.home}/`);
  });

  it("ends with its whole group when the supervisor gets SIGTERM", async () => {
    const run = await fixture.run(sh('trap "echo saved; exit 3" TERM; sleep 30 & echo $!; wait'));
    await until(() => run.output().includes("\n"));
    const child = Number(run.output());

    run.child.kill("SIGTERM");

    expect(await run.exit).toBe(3);
    expect(run.output()).toBe(`${child}\nsaved\n`);
    await until(() => !isAlive(child));
  });

  it("is killed within the grace period if it does not end", async () => {
    const run = await fixture.run(sh('trap "echo asked" TERM; echo began; while :; do sleep 0.05; done'), {
      flags: ["--grace", "4s"],
    });
    await until(() => run.output().includes("began"));

    run.child.kill("SIGTERM");

    expect(await run.exit).toBe(137);
    expect(run.output()).toContain("asked");
    expect(run.lastWords()).toEqual({ started: true, signal: 9 });
  });

  it("gets other signals too", async () => {
    const run = await fixture.run(sh('trap "echo heard; exit 0" USR1; echo began; while :; do sleep 0.05; done'));
    await until(() => run.output().includes("began"));

    run.child.kill("SIGUSR1");

    expect(await run.exit).toBe(0);
    expect(run.output()).toContain("heard");
  });

  it("that is empty continues until the supervisor gets SIGTERM", async () => {
    const run = await fixture.run([]);

    expect((await fixture.ask("ready")).code).toBe(0);
    run.child.kill("SIGTERM");

    expect(await run.exit).toBe(0);
  });
});

describe("a run of several machines", () => {
  it("starts once all machines are ready, and again by itself after a restart of its container", async () => {
    const run = await fixture.run(sh(`echo began; ${staying}`), { flags: ["--gated"] });
    expect((await fixture.ask("ready")).code).toBe(75);
    expect(run.output()).toBe("");

    await fixture.ask("open");
    await fixture.ask("open");
    await until(() => run.output() === "began\n");
    expect((await fixture.ask("ready")).code).toBe(0);
    await run.kill();

    const again = await fixture.run(sh("echo again"), { flags: ["--gated"], isShort: true });
    expect(await again.exit).toBe(0);
    expect(again.output()).toBe("again\n");
  });

  it("that is ended before counts as never started", async () => {
    const run = await fixture.run(sh("echo began"), { flags: ["--gated"] });

    run.child.kill("SIGTERM");

    expect(await run.exit).toBe(143);
    expect(run.output()).not.toContain("began");
    expect(run.lastWords()).toMatchObject({ started: false });
  });
});

it("a run is ready when a program listens on every port", async () => {
  const servers = [createServer(), createServer()];
  const ports = await Promise.all(
    servers.map(async (server) => {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return (server.address() as { port: number }).port;
    }),
  );
  await fixture.run([], { flags: ["--ports", ports.join(",")] });
  expect((await fixture.ask("ready")).code).toBe(0);

  await new Promise((resolve) => servers[1]?.close(resolve));
  expect((await fixture.ask("ready")).code).toBe(75);

  await new Promise((resolve) => servers[0]?.close(resolve));
});

describe("a supervisor beside another one", () => {
  it("does nothing, and the other one continues", async () => {
    await fixture.run([]);

    const second = await fixture.run(["true"], { isShort: true });

    expect(await second.exit).toBe(70);
    expect(second.output()).toContain("Another supervisor runs here");
    expect((await fixture.ask("count")).code).toBe(0);
  });

  it("takes the place of one that was killed", async () => {
    const first = await fixture.run([]);
    await first.kill();

    // A process that the first one was starting holds the lock until its exec.
    let next = await fixture.run([]);
    while (next.child.exitCode !== null) next = await fixture.run([]);

    expect((await fixture.ask("count")).stdout).toBe("0\n");
  });
});

it("a supervisor answers clients that connected before it listened", async () => {
  const early = fixture.ask("count");

  await fixture.run([], { isShort: true });

  expect(await early).toMatchObject({ code: 0, stdout: "0\n" });
});

it("a supervisor accepts only its own user", async () => {
  await fixture.run([]);

  expect((statSync(fixture.file("socket")).mode & 0o777).toString(8)).toBe("600");
  expect((await fixture.ask("no-such-question")).code).toBe(64);
});

it("a supervisor works in an empty image", async ({ skip }) => {
  const bare = [
    "bwrap",
    "--bind",
    fixture.home,
    "/.berth",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    "--unshare-pid",
    "--as-pid-1",
  ];
  const words = [...bare, "/.berth/supervisor", "run", "--ended", "/.berth/ended"];
  const canNest = await promisify(execFile)("bwrap", [
    ...bare.slice(1),
    "/.berth/supervisor",
    "install",
    "/.berth",
  ]).catch(() => undefined);
  if (!canNest) skip("this machine has no bubblewrap that works, which makes the bare image");
  const run = spawn("bwrap", words.slice(1), { stdio: "ignore" });
  await until(async () => (await fixture.ask("count")).code === 0);

  await fixture.exec({ id: "own", words: ["/.berth/supervisor", "count"] });
  await fixture.exec({ id: "none", words: ["/bin/sh", "-c", "true"] });

  expect(await fixture.ended("own")).toMatchObject({ stdout: expect.stringMatching(/^\d+\n$/), end: { exitCode: 0 } });
  expect(await fixture.ended("none")).toMatchObject({ end: { exitCode: 127 } });
  const [first = 0] = listDescendants(run.pid ?? 0);
  process.kill(first, "SIGTERM");
  expect((await once(run, "exit"))[0]).toBe(0);
});

it("a supervisor as the first process of a container reaps orphans, and leaves no process behind", async ({ skip }) => {
  const canNest = await promisify(execFile)("bwrap", [...asFirst.slice(1), "true"]).catch(() => undefined);
  if (!canNest) skip("this machine has no bubblewrap that works, which makes a process the first one");
  const orphans = "for n in 1 2 3 4 5; do (setsid sh -c 'sleep 0.1; exit 3' &) ; done";
  const run = await fixture.run(sh(`${orphans}; (setsid sleep 600 &); echo began; exec sleep 600`), { by: asFirst });
  await until(() => run.output().includes("began"));
  const [first = 0] = listDescendants(run.child.pid ?? 0);
  const inside = () => listDescendants(first);
  const states = () => inside().map((pid) => /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1]);

  // The command, the running orphan and the attendant are left.
  await until(() => inside().length === 3);
  expect(states()).not.toContain("Z");
  const left = inside();
  process.kill(first, "SIGTERM");

  expect(await run.exit).toBe(143);
  expect(left.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
});
