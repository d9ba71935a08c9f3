import { expect, test } from "vitest";
import type { ExecStatus } from "#core/ports/exec.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, type WorldOptions } from "#tests/worlds/memory-world.ts";
import { splitShellCommand } from "../record/shell-words.ts";
import { requestCancel } from "./actions.ts";
import { createEnvironment } from "./create.ts";
import { type ExecRequest, executeIn } from "./exec.ts";

const echo: ExecRequest = { words: ["hello"], timeoutSeconds: 30 };
const hangs = { stdout: "partial", takesMs: null };

async function worldWith(id: string, options: WorldOptions = {}): Promise<MemoryWorld> {
  const world = await memoryWorld(options);
  await createEnvironment(world.as("alice"), newEnvironment(id));
  return world;
}

async function activeWorld(options: WorldOptions = {}): Promise<MemoryWorld> {
  const world = await worldWith("one", options);
  await world.deliver();
  return world;
}

test("a command returns its output, its exit code and its final directory", async () => {
  const world = await activeWorld();
  const outcome = { stdout: "out\n", stderr: "err\n", exitCode: 3, directory: "/workspace/x" };
  world.compute.programExec(() => true, outcome);

  const result = await executeIn(world.as("alice"), "one", echo);

  expect(result).toEqual({
    stdout: "out\n",
    stderr: "err\n",
    returncode: 3,
    timedOut: false,
    timeoutSeconds: 30,
    directory: "/workspace/x",
  });
});

test("arguments, input and directory reach the run unchanged, without a shell", async () => {
  const world = await activeWorld();

  await executeIn(world.as("alice"), "one", {
    words: ["python3", "-"],
    stdin: 'print("$HOME")',
    directory: "/workspace/a b",
    timeoutSeconds: 7,
  });

  expect(world.compute.execs()).toMatchObject([
    { words: ["python3", "-"], stdin: 'print("$HOME")', directory: "/workspace/a b", timeoutMs: 7_000 },
  ]);
});

test("a command waits until its environment is active", async () => {
  const world = await worldWith("one", { delays: { imageMs: 20_000 } });

  const result = await executeIn(world.as("alice"), "one", echo);

  expect(result).toMatchObject({ stdout: "hello\n", returncode: 0 });
  expect((await world.read("alice", "one")).phase).toBe("active");
});

test("the wait is deducted from the timeout, as the result shows", async () => {
  const world = await worldWith("one", { delays: { imageMs: 20_000 } });
  world.compute.programExec(() => true, hangs);
  const begunAt = world.clock.now();

  const result = await executeIn(world.as("alice"), "one", { ...echo, timeoutSeconds: 3_600 });

  expect(result.timeoutSeconds).toBeLessThanOrEqual(90);
  expect(result.timeoutSeconds).toBeGreaterThan(80);
  expect(result).toMatchObject({
    stdout: "partial",
    stderr: `Command timed out after ${result.timeoutSeconds}s`,
    returncode: 124,
    timedOut: true,
  });
  expect(world.clock.now() - begunAt).toBeLessThan(112_000);
});

test("an environment that is not ready within the cap is refused, and nothing is run", async () => {
  const world = await worldWith("one", { delays: { imageMs: 200_000 } });

  const executed = executeIn(world.as("alice"), "one", echo);

  await expect(executed).rejects.toMatchObject({ kind: "failed", message: "Job is not ready yet" });
  expect(world.compute.execs()).toEqual([]);
});

test("an environment that failed to start is refused with its reason", async () => {
  const world = await memoryWorld();
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "imageFails", reason: "Image not found" });

  const refusal = { kind: "failed", message: "Job failed to start: Image not found" };
  await expect(executeIn(world.as("alice"), "one", echo)).rejects.toMatchObject(refusal);
  await world.advance(60_000);
  await expect(executeIn(world.as("alice"), "one", echo)).rejects.toMatchObject(refusal);
});

test("a command in a missing, foreign or ended environment is refused", async () => {
  const world = await activeWorld();

  await expect(executeIn(world.as("alice"), "two", echo)).rejects.toMatchObject({ kind: "notFound" });
  await expect(executeIn(world.as("bob"), "one", echo)).rejects.toMatchObject({ kind: "notFound" });
  await requestCancel(world.as("alice"), "one");
  await expect(executeIn(world.as("alice"), "one", echo)).rejects.toMatchObject({ kind: "notFound" });

  expect(world.compute.execs()).toEqual([]);
});

test("the head is marked as busy before the command starts, and for longer than the command can run", async () => {
  const world = await activeWorld();
  const seen: unknown[] = [];
  const startExec = world.compute.startExec;
  const compute = {
    ...world.compute,
    startExec: async (...input: Parameters<typeof startExec>) => {
      seen.push((await world.read("alice", "one")).use.busyUntil);
      await startExec(...input);
    },
  };

  await executeIn({ ...world.as("alice"), compute }, "one", { ...echo, timeoutSeconds: 100 });

  expect(seen).toEqual([world.clock.now() + 160_000]);
});

test("a mark that moves by at most a minute is not written", async () => {
  const world = await activeWorld();
  await executeIn(world.as("alice"), "one", echo);
  const { writers } = await world.read("alice", "one");

  await executeIn(world.as("alice"), "one", { ...echo, timeoutSeconds: 60 });

  expect((await world.read("alice", "one")).writers).toEqual(writers);
});

/** Fails the first reads of each command. */
function failingReads(world: MemoryWorld, fails: number) {
  let reads = 0;
  const readExec: typeof world.compute.readExec = async (...input) => {
    reads += 1;
    if (reads <= fails) throw new Error("The state of the command is unknown");
    return world.compute.readExec(...input);
  };
  return { ...world.as("alice"), compute: { ...world.compute, readExec } };
}

test("a command keeps its result while reads of its state fail, for example because no process is left", async () => {
  const world = await activeWorld();

  const result = await executeIn(failingReads(world, 20), "one", echo);

  expect(result).toMatchObject({ stdout: "hello\n", returncode: 0, timedOut: false });
});

test("a command whose state cannot be read fails, but only after its time", async () => {
  const world = await activeWorld();
  const begunAt = world.clock.now();

  const executed = executeIn(failingReads(world, Number.POSITIVE_INFINITY), "one", echo);

  await expect(executed).rejects.toThrow("The state of the command is unknown");
  const tookMs = world.clock.now() - begunAt;
  expect(tookMs).toBeGreaterThan(echo.timeoutSeconds * 1000);
  // The edge waits no longer than the cap and ten seconds.
  expect(tookMs).toBeLessThan(echo.timeoutSeconds * 1000 + 6_000);
});

test("the same id is run once and both get its result", async () => {
  const world = await activeWorld();
  let runs = 0;
  world.compute.programExec(
    () => true,
    () => {
      runs += 1;
      return { stdout: `run ${runs}`, takesMs: 3_000 };
    },
  );
  const request = { ...echo, execId: "message-1" };

  const [first, second] = await Promise.all([
    executeIn(world.as("alice"), "one", request),
    executeIn(world.as("alice"), "one", request),
  ]);
  const later = await executeIn(world.as("alice"), "one", request);

  expect([first.stdout, second.stdout, later.stdout]).toEqual(["run 1", "run 1", "run 1"]);
  expect(runs).toBe(1);
});

test("the last line of output that is too long says that it was cut", async () => {
  const world = await activeWorld();
  world.compute.programExec(() => true, { stdout: "x".repeat(1024 * 1024 + 1), stderr: "fine" });

  const { stdout, stderr } = await executeIn(world.as("alice"), "one", echo);

  expect(stdout).toBe(`${"x".repeat(1024 * 1024)}\n[output truncated]`);
  expect(stderr).toBe("fine");
});

test("a command fails at once when its environment ends, with that reason", async () => {
  const world = await activeWorld();
  world.compute.programExec(() => true, hangs);
  const startExec = world.compute.startExec;
  const compute = {
    ...world.compute,
    startExec: async (...input: Parameters<typeof startExec>) => {
      await startExec(...input);
      await requestCancel(world.as("alice"), "one");
    },
  };
  const begunAt = world.clock.now();

  const result = await executeIn({ ...world.as("alice"), compute }, "one", echo);

  expect(result).toMatchObject({ returncode: 137, timedOut: false, stderr: "The job ended before the command did" });
  expect(world.clock.now() - begunAt).toBeLessThan(10_000);
});

test("a run that is gone before its record shows that is not ready", async () => {
  const world = await activeWorld();
  const {
    uid,
    run: { n: run },
  } = await world.read("alice", "one");
  world.compute.kill(uid, run);

  const executed = executeIn(world.as("alice"), "one", echo);

  await expect(executed).rejects.toMatchObject({ kind: "failed", message: "Job is not ready yet" });
});

test("a command that cannot be ended is given up soon after its timeout", async () => {
  const world = await activeWorld();
  const streams = { stdout: "", stderr: "", stdoutCut: false, stderrCut: false };
  const running: ExecStatus = { state: "running", exitCode: null, timedOut: false, ...streams, directory: null };
  const compute = { ...world.compute, readExec: async () => running };
  const begunAt = world.clock.now();

  const result = await executeIn({ ...world.as("alice"), compute }, "one", echo);

  expect(result).toMatchObject({ returncode: 124, timedOut: true, stderr: "Command timed out after 30s" });
  expect(world.clock.now() - begunAt).toBeLessThan(45_000);
});

test("a command that ended unobserved returns its result, however late", async () => {
  const world = await activeWorld();
  world.compute.programExec(() => true, { stdout: "done", takesMs: 10_000 });
  const { readExec } = world.compute;
  const sleepy: typeof readExec = async (...input) => {
    const status = await readExec(...input);
    world.clock.advance(3_600_000);
    return status;
  };

  const result = await executeIn(
    { ...world.as("alice"), compute: { ...world.compute, readExec: sleepy } },
    "one",
    echo,
  );

  expect(result).toMatchObject({ stdout: "done", returncode: 0, timedOut: false });
});

test("text with a NUL character is refused before any read", async () => {
  const world = await memoryWorld();

  const executed = executeIn(world.as("alice"), "none", { ...echo, words: splitShellCommand("echo \0") });

  await expect(executed).rejects.toMatchObject({ kind: "invalid" });
});
