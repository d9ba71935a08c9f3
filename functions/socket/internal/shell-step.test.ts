import { beforeEach, describe, expect, it } from "vitest";
import type { Environment } from "#core/environments/record/record.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import type { ExecResult } from "#core/environments/verbs/exec.ts";
import { Problem } from "#core/problem.ts";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { beginShell, isPing, overdue, type ShellState, takeFailure, takeFrame, takeResult } from "./shell-step.ts";

const result: ExecResult = {
  stdout: "out\n",
  stderr: "",
  returncode: 0,
  timedOut: false,
  timeoutSeconds: 300,
  directory: "/workspace/deep",
};
const frame = (input: object) => JSON.stringify(input);

describe("a step of the web shell", () => {
  let environment: Environment;
  let state: ShellState;

  beforeEach(async () => {
    const world = await memoryWorld();
    const ctx = { ...world.as("alice"), dialect: "onmemos", noun: "workspace" };
    environment = await createEnvironment(ctx, newEnvironment("ws-demo-alice-1756062811", { gpus: 1 }));
    state = beginShell(environment, 1_000).state;
  });

  it("starts in the home, with a welcome", () => {
    const begun = beginShell(environment, 1_000);

    const { id, uid } = environment;
    expect(begun.state).toMatchObject({ id, uid, directory: "/workspace", usedAt: 1_000 });
    expect(begun.frames).toMatchObject([{ type: "welcome", workspace_id: id, current_directory: "/workspace" }]);
  });

  it("has a state that survives being stored and read", () => {
    const { state: after } = takeResult(state, "cd deep", result, 2_000);

    expect(JSON.parse(JSON.stringify(after))).toStrictEqual(after);
    expect(after.directory).toBe("/workspace/deep");
  });

  it("does not change its input state", () => {
    const before = structuredClone(state);

    takeFrame(Object.freeze(state), frame({ type: "command", command: "cd deep" }), 2_000);
    takeResult(Object.freeze(state), "cd deep", result, 3_000);

    expect(state).toEqual(before);
  });

  it("runs a command, and sends nothing before its result", () => {
    const step = takeFrame(state, frame({ type: "command", command: "ls", timeout: 7 }), 2_000);

    expect(step).toEqual({
      state: { ...state, usedAt: 2_000 },
      frames: [],
      command: { type: "command", command: "ls", timeout: 7 },
    });
  });

  it("answers a ping, which does not count as use", () => {
    expect(takeFrame(state, frame({ type: "ping" }), 2_000)).toEqual({ state, frames: [{ type: "pong" }] });
    expect([isPing(frame({ type: "ping" })), isPing(frame({ type: "exit" })), isPing("{")]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it("says goodbye, and closes", () => {
    const { frames, closing, command } = takeFrame(state, frame({ type: "exit" }), 2_000);

    expect(frames).toEqual([{ type: "exit", message: "Disconnecting from workspace" }]);
    expect([closing?.code, command]).toEqual([1000, undefined]);
  });

  it("answers a malformed frame with an error and stays open", () => {
    const step = takeFrame(state, "", 2_000);

    expect(step).toEqual({
      state: { ...state, usedAt: 2_000 },
      frames: [{ type: "error", message: "Invalid JSON" }],
    });
  });

  it.each([
    ["in the last directory", {}, "/workspace/deep"],
    ["in the old directory after a timeout", { directory: null, timedOut: true, returncode: 124 }, "/workspace/a"],
    ["in the old directory after a killed command", { directory: null, returncode: 137 }, "/workspace/a"],
    ["in the home if its directory is gone", { directory: null, returncode: 2 }, "/workspace"],
  ])("continues %s", (_, changes, directory) => {
    const step = takeResult({ ...state, directory: "/workspace/a" }, "x", { ...result, ...changes }, 2_000);

    expect(step.state).toMatchObject({ directory, usedAt: 2_000 });
    expect(step.frames).toMatchObject([{ type: "command_result", command: "x", current_directory: directory }]);
  });

  it("shows only public reasons of a failed command, and closes if the workspace has ended", () => {
    const notReady = takeFailure(state, new Problem("failed", "Workspace is not ready yet"), 2_000);
    const broken = takeFailure(state, new Error("10.0.0.7 refused"), 2_000);
    const over = takeFailure(state, new Problem("notFound", "Workspace x not found"), 2_000);

    expect(notReady.frames).toEqual([{ type: "error", message: "Workspace is not ready yet" }]);
    expect(broken.frames).toEqual([{ type: "error", message: "Internal server error" }]);
    expect([over.frames, over.closing?.code]).toEqual([[], 1001]);
  });

  it("is overdue after ten minutes without use", () => {
    expect(overdue(state, 601_000)).toBeUndefined();
    expect(overdue(state, 601_001)?.code).toBe(1000);
  });
});
