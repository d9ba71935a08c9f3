import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Compute } from "#core/ports/compute.ts";
import type { Exec, ExecStatus } from "#core/ports/exec.ts";
import { RunGone } from "#core/problem.ts";

/** Behaviour of a command, which each Compute under test performs in its own way. */
export interface ExecBehaviour {
  readonly stdout?: string;
  readonly stderr?: string;
  /** Exit code, by default 0. */
  readonly exits?: number;
  /** Time from its output to its end; `null`: it never ends. */
  readonly takesMs?: number | null;
}

/** Compute under test in which the uid `applied` has a living run 1, and no run 9. */
export interface ExecUnderTest {
  readonly compute: Compute;
  readonly applied: { readonly uid: string; readonly run: number };
  pass(ms: number): Promise<void>;
  /** Returns the words of a command that behaves so. */
  words(behaviour: ExecBehaviour): readonly string[];
  /** Returns how often these words were run. */
  times(words: readonly string[]): number;
  close(): Promise<void>;
}

const mebibyte = 1024 * 1024;
const noSuchRun = 9;

/** Conformance tests for the commands of Compute. */
export function execConformance(open: () => Promise<ExecUnderTest>): void {
  let test: ExecUnderTest;
  let compute: Compute;

  beforeEach(async () => {
    test = await open();
    compute = test.compute;
  });
  afterEach(async () => {
    await test.close();
  });

  const getExec = (behaviour: ExecBehaviour, changes: Partial<Exec> = {}): Exec => ({
    id: randomBytes(8).toString("hex"),
    words: test.words(behaviour),
    stdin: "",
    env: {},
    directory: undefined,
    timeoutMs: 120_000,
    ...changes,
  });
  const start = ({ uid, run }: { uid: string; run: number }, exec: Exec) => compute.startExec(uid, run, exec);
  const read = (id: string, waitMs = 0) => compute.readExec(test.applied.uid, test.applied.run, id, waitMs);
  const ended = async (id: string): Promise<ExecStatus> => {
    for (let tries = 0; tries < 400; tries += 1) {
      const status = await read(id, 1_000);
      if (status?.state === "ended") return status;
      await test.pass(10);
    }
    throw new Error("The command did not end");
  };
  const ran = async (behaviour: ExecBehaviour, changes: Partial<Exec> = {}): Promise<ExecStatus> => {
    const exec = getExec(behaviour, changes);
    await start(test.applied, exec);
    return ended(exec.id);
  };

  describe("commands in a run", () => {
    it("return each stream separately, and how they ended", async () => {
      const status = await ran({ stdout: "out\n", stderr: "err\n", exits: 3 });

      expect(status).toMatchObject({ state: "ended", stdout: "out\n", stderr: "err\n", exitCode: 3, timedOut: false });
      expect([status.stdoutCut, status.stderrCut]).toEqual([false, false]);
    });

    it("may have no output", async () => {
      expect(await ran({})).toMatchObject({ stdout: "", stderr: "", exitCode: 0 });
    });

    it("keep their output in order", async () => {
      const lines = Array.from({ length: 500 }, (_, n) => `line ${n}\n`).join("");

      expect((await ran({ stdout: lines })).stdout).toBe(lines);
    });

    it("keep the first MiB of each stream in whole characters, and are not blocked by the rest", async () => {
      const status = await ran({ stdout: `xé${"é".repeat(mebibyte)}`, stderr: "e".repeat(mebibyte), exits: 0 });

      expect([status.stdoutCut, status.stderrCut, status.exitCode]).toEqual([true, false, 0]);
      expect(status.stdout).toBe(`x${"é".repeat(mebibyte / 2 - 1)}`);
      expect(status.stderr).toHaveLength(mebibyte);
    });

    it("are shown as running until they have ended, at the latest after the wait", async () => {
      const exec = getExec({ takesMs: null });
      await start(test.applied, exec);

      expect(await read(exec.id, 200)).toMatchObject({ state: "running", exitCode: null, timedOut: false });
    });

    it("are ended at their timeout with 124, with their output", async () => {
      const until = (timeoutMs: number) => ran({ stdout: "partial", takesMs: null }, { timeoutMs });
      let status = await until(3_000);
      // On a busy machine, the output may come later.
      if (status.stdout === "") status = await until(60_000);

      expect(status).toMatchObject({ exitCode: 124, timedOut: true, stdout: "partial" });
    });

    it("are run once per id, even concurrently and after their end", async () => {
      const exec = getExec({ stdout: "once", takesMs: 50 });

      await Promise.all([start(test.applied, exec), start(test.applied, exec)]);
      await ended(exec.id);
      await start(test.applied, exec);
      await test.pass(100);

      expect(test.times(exec.words)).toBe(1);
      expect(await read(exec.id)).toMatchObject({ state: "ended", stdout: "once" });
    });

    it("run concurrently, and count as sessions meanwhile", async () => {
      const [slow, otherExec] = [getExec({ takesMs: null }), getExec({ takesMs: null })];
      const sessions = async () => (await compute.observe(test.applied.uid, test.applied.run))?.sessions;

      await Promise.all([start(test.applied, slow), start(test.applied, otherExec)]);
      const during = await sessions();
      const quick = await ran({ stdout: "quick" });

      expect(during).toBe(2);
      expect(quick.stdout).toBe("quick");
      expect(await read(slow.id)).toMatchObject({ state: "running" });
      expect(await sessions()).toBe(2);
    });

    it("are unknown if they were never started", async () => {
      expect(await read("0123456789abcdef", 500)).toBeUndefined();
      expect(await compute.readExec(test.applied.uid, noSuchRun, "0123456789abcdef", 0)).toBeUndefined();
    });

    it("are not started in a missing run", async () => {
      await expect(start({ ...test.applied, run: noSuchRun }, getExec({}))).rejects.toThrow(RunGone);
    });

    it("end with their run, after which none is started", async () => {
      const exec = getExec({ stdout: "partial", takesMs: null });
      await start(test.applied, exec);

      await compute.remove(test.applied.uid, test.applied.run, { graceSeconds: 10, force: false });
      for (let tries = 0; tries < 6_000 && (await read(exec.id))?.state === "running"; tries += 1) await test.pass(20);

      expect((await read(exec.id))?.state ?? "ended").toBe("ended");
      await expect(start(test.applied, getExec({}))).rejects.toThrow(RunGone);
    });
  });
}
