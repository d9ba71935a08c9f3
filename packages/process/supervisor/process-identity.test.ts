import { spawn, spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { findChild, findProcess, isAlive, signalProcess } from "./process-identity.ts";

describe("the identity of a process", () => {
  it("is not found after the process has ended, not even as a zombie", async () => {
    const child = spawn("sleep", ["3600"]);
    const identity = findProcess(child.pid ?? 0);
    if (!identity) throw new Error("It did not start");
    const before = isAlive(identity);

    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));

    expect([before, isAlive(identity), findProcess(identity.pid)]).toEqual([true, false, undefined]);
  });

  it("is known of a child that has already ended", async () => {
    const child = spawn("true");
    const pid = child.pid ?? 0;
    // Node reaps the child in a later turn of the event loop.
    while (findProcess(pid)) spawnSync("sleep", ["0.01"]);

    const found = findChild(pid);
    await new Promise((resolve) => child.once("exit", resolve));

    expect(found).toMatchObject({ pid, startedAt: expect.stringMatching(/\S/) });
    expect(findChild(pid)).toBeUndefined();
  });

  it("does not match a later process of the same pid, which is never signalled", () => {
    const self = findProcess(process.pid);
    if (!self) throw new Error("This process was not found");
    const earlier = [
      { ...self, startedAt: "1" },
      { ...self, boot: "an earlier one" },
    ];

    const signalled = earlier.map((identity) => signalProcess(identity, "SIGCONT"));

    expect(signalled).toEqual([false, false]);
    expect(isAlive(self)).toBe(true);
  });
});
