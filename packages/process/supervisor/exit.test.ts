import { describe, expect, it } from "vitest";
import { describeEnd, killedFromOutside } from "./exit.ts";

const command = { hasCommand: true, oomKills: 0 };

describe("the end of a command", () => {
  it.each([0, 1, 127, 128, 255])("is its exit code: %i", (code) => {
    expect(describeEnd({ code, signal: null }, command)).toEqual({ exitCode: code, reason: null });
  });

  it.each([
    [{ code: null, signal: "SIGKILL" }, "SIGKILL"],
    [{ code: 137, signal: null }, "SIGKILL"],
    [{ code: 143, signal: null }, "SIGTERM"],
    [{ code: 139, signal: null }, "SIGSEGV"],
  ])("is a signal, seen directly or through a shell: %o", (exit, signal) => {
    expect(describeEnd(exit, command)).toEqual({ exitCode: null, reason: `command was killed by signal ${signal}` });
  });

  it("is attributed to memory if the kernel killed a process for it", () => {
    const { reason } = describeEnd({ code: 137, signal: null }, { hasCommand: true, oomKills: 1 });

    expect(reason).toBe("command was killed by signal SIGKILL while the machine was out of memory");
  });

  it("names the environment's process without a command", () => {
    const end = describeEnd({ code: 0, signal: null }, { hasCommand: false, oomKills: 0 });

    expect(end).toEqual({ exitCode: null, reason: killedFromOutside });
  });
});
