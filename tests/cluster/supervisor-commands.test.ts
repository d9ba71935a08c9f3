import { execFile, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { splitShellCommand } from "#core/environments/record/shell-words.ts";
import {
  type Answer,
  isAlive,
  openSupervisor,
  type SupervisorFixture,
  staying,
  until,
} from "./container/supervisor-fixture.ts";

let fixture: SupervisorFixture;

beforeEach(async () => {
  fixture = await openSupervisor();
});

afterEach(() => fixture.close());

const mebibyte = 1024 * 1024;
const sh = (script: string) => ["/bin/sh", "-c", script];
const count = async () => (await fixture.ask("count")).stdout.trim();

describe("an additional command in a run", () => {
  it("gets its exact arguments, input and variables, and those of the container", async () => {
    const odd = "a b\n'\"$(id) `id` \\ $HOME * é🚀\n";
    const long = "x".repeat(16 * 1024);
    await fixture.run([], { env: { FROM_RUN: odd, CHANGED: "before" } });
    const script = 'printf "%s|" "$@" "$FROM_RUN" "$CHANGED"; cat; echo problem >&2; exit 3';
    const words = [...sh(script), "sh", odd, "", "-n", long];
    const stdin = `${odd}\0${"y".repeat(mebibyte / 2)}`;

    const order = { id: "odd", words, env: { CHANGED: odd }, stdin: Buffer.from(stdin).toString("base64") };
    expect(await fixture.exec(order)).toEqual({ code: 0, stdout: "", stderr: "" });

    const answer = await fixture.ended("odd");
    expect(answer).toMatchObject({ end: { exitCode: 3, timedOut: false }, stderr: "problem\n" });
    expect(answer.stdout).toBe(`${[odd, "", "-n", long, odd, odd].join("|")}|${stdin}`);
  });

  it("runs in the requested directory, and reports its last one", async () => {
    await fixture.run([]);

    await fixture.exec({ id: "a", words: sh('pwd; cd /usr; pwd >"$BERTH_DIRECTORY_FILE"'), directory: "/var" });

    expect(await fixture.ended("a")).toMatchObject({ stdout: "/var\n", directory: "/usr", end: { exitCode: 0 } });
  });

  it("of a shell has no variable that only reports its last directory", async () => {
    await fixture.run([]);

    await fixture.exec({ id: "a", words: splitShellCommand("cd /usr; env"), directory: "/var" });

    const answer = await fixture.ended("a");
    expect(answer).toMatchObject({ directory: "/usr", end: { exitCode: 0 } });
    expect(answer.stdout).toContain("PWD=/usr\n");
    expect(answer.stdout).not.toContain("BERTH_DIRECTORY_FILE");
  });

  it.each([
    ["is not there", ["/no/such/program"], 127],
    ["is no program", ["/etc/passwd"], 126],
    ["works nowhere", ["true"], 126],
    ["ends by a signal", sh("kill -SEGV $$"), 139],
  ])("that %s fails like in a shell", async (name, words, exitCode) => {
    await fixture.run([]);

    await fixture.exec({ id: "a", words, directory: name === "works nowhere" ? "/etc/passwd" : "" });

    expect(await fixture.ended("a")).toMatchObject({ end: { exitCode, timedOut: false } });
  });

  it("is killed at its timeout with its whole group", async () => {
    await fixture.run([]);
    await fixture.exec({ id: "late", words: sh("trap '' TERM; sleep 30 & echo $!; wait"), timeoutMs: 400 });

    const answer = await fixture.ended("late");

    expect(answer.end).toMatchObject({ exitCode: 124, timedOut: true });
    await until(() => !isAlive(Number(answer.stdout)));
  });

  it("is run once per id, even if repeated at the same time and after its end", async () => {
    await fixture.run([]);
    const order = { id: "once", words: sh(`echo x >>${fixture.file("times")}`) };

    await Promise.all([fixture.exec(order), fixture.exec(order), fixture.exec(order)]);
    await fixture.ended("once");
    await fixture.exec(order);
    await fixture.exec({ id: "other", words: ["true"] });
    await fixture.ended("other");

    expect(readFileSync(fixture.file("times"), "utf8")).toBe("x\n");
  });

  it("does not wait for its background processes, which continue", async () => {
    await fixture.run([]);
    await fixture.exec({ id: "left", words: sh("(while [ ! -e go ]; do sleep 0.05; done; echo late) & echo early") });

    expect(await fixture.ended("left")).toMatchObject({ stdout: "early\n", end: { exitCode: 0 } });
    writeFileSync(fixture.file("go"), "");

    await until(async () => (await fixture.read("left")).stdout === "early\nlate\n");
  });

  it("continues when its caller or waiter is killed", async () => {
    await fixture.run([]);
    await fixture.exec({ id: "slow", words: sh("while [ ! -e go ]; do sleep 0.05; done; echo whole") });
    const waiting = spawn(fixture.file("supervisor"), ["read", "slow", "4000"]);
    await new Promise((resolve) => waiting.once("spawn", resolve));

    waiting.kill("SIGKILL");
    expect(await count()).toBe("1");
    writeFileSync(fixture.file("go"), "");

    expect(await fixture.ended("slow")).toMatchObject({ stdout: "whole\n", end: { exitCode: 0 } });
    expect(await count()).toBe("0");
  });

  it("may write endlessly: its first MiB is returned, and little more is kept", async () => {
    await fixture.run([]);
    await fixture.exec({ id: "endless", words: ["yes"], timeoutMs: 60_000 });
    const kept = () => statSync(fixture.file("commands/endless/stdout")).size;
    await until(() => kept() > 16 * mebibyte);

    // The supervisor cuts the file once a second.
    await until(() => kept() < 16 * mebibyte);
    const answer = await fixture.read("endless");

    expect(answer.stdout).toHaveLength(mebibyte + 1);
    expect(answer.end.state).toBe("running");
  });

  it("is cut even if its background process writes endlessly", async () => {
    await fixture.run([]);
    // It ends with the fixture. Otherwise it would fill the disk.
    await fixture.exec({ id: "left", words: sh("(while [ -e lock ]; do head -c 4000000 /dev/zero; done) & true") });
    await fixture.ended("left");
    const kept = () => statSync(fixture.file("commands/left/stdout")).size;
    await until(() => kept() > 16 * mebibyte);

    await until(() => kept() < 16 * mebibyte);
  });

  it("ends with the run, after which no command starts", async () => {
    const released = fixture.file("released");
    const last = `echo ending; while [ ! -e ${released} ]; do sleep 0.05; done; exit 0`;
    const run = await fixture.run(sh(`trap "${last}" TERM; echo began; while :; do sleep 0.05; done`));
    await fixture.exec({ id: "with", words: sh(`echo $$; ${staying}`) });
    await until(async () => (await fixture.read("with")).stdout !== "");
    const { stdout } = await fixture.read("with");

    run.child.kill("SIGTERM");
    await until(() => run.output().includes("ending"));
    const refused = await fixture.exec({ id: "after", words: ["true"] });
    writeFileSync(released, "");

    expect(refused).toEqual({ code: 71, stdout: "", stderr: "Nothing is started here any more" });
    expect(await run.exit).toBe(0);
    expect(existsSync(fixture.file("commands/after"))).toBe(false);
    await until(() => !isAlive(Number(stdout)));
  });
});

describe("the result of a command", () => {
  it("is kept over a restart of the container: complete if the command had ended, otherwise as killed", async () => {
    const first = await fixture.run([]);
    await fixture.exec({ id: "done", words: sh("echo whole; exit 5") });
    await fixture.ended("done");
    await fixture.exec({ id: "cut", words: sh(`echo part; ${staying}`) });
    await until(async () => (await fixture.read("cut")).stdout !== "");
    await first.kill();

    await fixture.run([]);
    await fixture.exec({ id: "done", words: sh("echo twice") });

    expect(await fixture.read("done")).toMatchObject({ stdout: "whole\n", end: { state: "ended", exitCode: 5 } });
    expect(await fixture.read("cut")).toMatchObject({ stdout: "part\n", end: { state: "ended", exitCode: 137 } });
    expect(await count()).toBe("0");
  });

  it("is deleted an hour after the end, and not before", async () => {
    await fixture.run([]);
    for (const id of ["old", "new"]) {
      await fixture.exec({ id, words: ["true"] });
      await fixture.ended(id);
    }
    const hourAgo = Date.now() / 1000 - 3_700;
    utimesSync(fixture.file("commands/old/end"), hourAgo, hourAgo);

    await until(() => !existsSync(fixture.file("commands/old")));

    expect(readdirSync(fixture.file("commands"))).toEqual(["new"]);
    await expect(fixture.read("old")).rejects.toThrow("66: No such command");
  });

  it("blocks no reader by files that the command puts in its place", async () => {
    await fixture.run([]);
    const script =
      'rm -f "$BERTH_DIRECTORY_FILE"; mkfifo "$BERTH_DIRECTORY_FILE"; cd "$(dirname "$BERTH_DIRECTORY_FILE")"; rm stdout; mkfifo stdout';
    await fixture.exec({ id: "fifo", words: sh(script) });

    expect(await fixture.ended("fifo")).toMatchObject({ directory: "", stdout: "", end: { exitCode: 0 } });
  });

  it("is returned to every later request, even one without a wait", async () => {
    await fixture.run([]);
    await fixture.exec({ id: "done", words: ["true"] });
    await fixture.ended("done");

    const later = await Promise.all(Array.from({ length: 100 }, () => fixture.read("done", 0)));

    expect(later.filter(({ end }) => end.state !== "ended")).toEqual([]);
  });

  it("is unknown for a command that was never started", async () => {
    await fixture.run([]);

    expect((await fixture.ask("read", ["nobody", "0"])).code).toBe(66);
    expect((await fixture.ask("read", ["../nobody", "0"])).code).toBe(66);
    expect((await fixture.ask("read", [])).code).toBe(66);
  });
});

describe("a refused request", () => {
  it.each<[string, object]>([
    ["an id that is a path", { id: "../x" }],
    ["no words", { words: [] }],
    ["a NUL character in a word", { words: ["a\0b"] }],
    ["a NUL character in a variable", { env: { A: "a\0b" } }],
    ["an invalid variable", { env: { "A=B;": "c" } }],
    ["words that are no texts", { words: "true" }],
  ])("has %s, and leaves no trace", async (_, changes) => {
    await fixture.run([]);

    expect((await fixture.exec({ id: "x", words: ["true"], ...changes })).code).toBeGreaterThanOrEqual(64);

    expect(existsSync(fixture.file("commands"))).toBe(false);
  });

  it("was cut off", async () => {
    await fixture.run([]);

    expect((await fixture.ask("exec", [], '{"id":"x","words":["tr')).code).toBe(72);
    expect(existsSync(fixture.file("commands"))).toBe(false);
  });

  it("found no supervisor", async () => {
    expect((await fixture.ask("count")).code).toBe(70);
  });
});

describe("on a disk without writes", () => {
  const order = { id: "a", words: ["true"] };

  it("no command is started, and the run's own command continues", async () => {
    const run = await fixture.run(sh("while [ ! -e go ]; do sleep 0.05; done"));
    writeFileSync(fixture.file("commands"), "");

    expect((await fixture.exec(order)).code).toBe(70);
    rmSync(fixture.file("commands"));
    expect((await fixture.exec(order)).code).toBe(0);
    expect((await fixture.ended("a")).end.exitCode).toBe(0);

    writeFileSync(fixture.file("go"), "");
    expect(await run.exit).toBe(0);
  });

  it("a running command ends normally, and the next one is refused with the reason", async ({ skip }) => {
    const small = ["--size", String(24 * mebibyte), "--tmpfs", "/mnt"];
    const bwrap = ["--dev-bind", "/", "/", ...small, "--"];
    const canNest = await promisify(execFile)("bwrap", [...bwrap, "true"]).catch(() => undefined);
    if (!canNest) skip("this machine has no bubblewrap that works, which makes the small disk");
    const ask = (...words: string[]) => `/mnt/supervisor ${words.join(" ")}`;
    const exec = (id: string, words: string[]) => {
      const text = JSON.stringify({ id, words, env: {}, directory: "", timeoutMs: 20_000 });
      return `echo '${text}' | ${ask("exec")}; echo "$?"`;
    };
    const script = [
      `cp ${fixture.file("supervisor")} ${fixture.file("ask")} ${fixture.file("attendant")} /mnt; /mnt/supervisor run --ended /mnt/ended -- sleep 600 &`,
      `until ${ask("count")} >/dev/null 2>&1; do sleep 0.05; done`,
      exec("full", ["/bin/sh", "-c", "head -c 100000000 /dev/zero; exit 9"]),
      `${ask("read", "full", "4000")} | head -n 1`,
      exec("next", ["true"]),
      "rm /mnt/commands/full/stdout",
      exec("last", ["/bin/sh", "-c", "echo written"]),
      `${ask("read", "last", "4000")}`,
      "kill $!; wait $!; true",
    ];

    const answer = await promisify(execFile)("bwrap", [...bwrap, "/bin/sh", "-c", script.join("\n")]);

    const [taken, full, next, last, result, text] = answer.stdout.split("\n");
    expect([taken, last, text]).toEqual(["0", "0", "written"]);
    expect(JSON.parse(full ?? "").end).toMatchObject({ state: "ended", exitCode: 9 });
    expect(["0", "70"]).toContain(next);
    expect(JSON.parse(result ?? "").end).toMatchObject({ state: "ended", exitCode: 0 });
  });
});

it("answers many concurrent requests", async () => {
  await fixture.run([]);

  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n): Promise<Answer> => fixture.exec({ id: `many-${n}`, words: sh(`exit ${n}`) })),
  );
  const ends = await Promise.all(answers.map((_, n) => fixture.ended(`many-${n}`)));

  expect(ends.map(({ end }) => end.exitCode)).toEqual(answers.map((_, n) => n));
});
