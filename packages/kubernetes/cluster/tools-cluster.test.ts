import { existsSync, globSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import type { Exec } from "#core/ports/exec.ts";
import { execConformance } from "#tests/conformance/exec.ts";
import { behavioursIn } from "../fixtures/behaviours-fixture.ts";
import { openToolsFixture, type ToolsFixture } from "../fixtures/tools-fixture.ts";

let fixture: ToolsFixture;

beforeAll(async () => {
  fixture = await openToolsFixture();
});

afterEach(() => fixture.clear());
afterAll(() => fixture.stop());

describe("kubernetes compute with the tools image", () => {
  execConformance(async () => {
    const run = await fixture.applied({ command: undefined });
    await fixture.ready(run);
    return {
      compute: fixture.compute,
      applied: { uid: run.uid, run: 1 },
      pass: sleep,
      close: fixture.clear,
      ...behavioursIn(fixture.files),
    };
  });
});

describe("a further command", () => {
  const plain = { id: "a", words: ["true"], stdin: "", env: {}, directory: undefined, timeoutMs: 20_000 };
  const ran = async (run: Run, changes: Partial<Exec>) => {
    await fixture.compute.startExec(run.uid, 1, { ...plain, ...changes });
    return fixture.eventually(
      () => fixture.compute.readExec(run.uid, 1, changes.id ?? plain.id, 1_000),
      (seen) => seen?.state === "ended",
    );
  };

  it("needs nothing of its image, and has exactly its input", async () => {
    const odd = "a b\n'\"$(id) `id` \\ $HOME * é🚀\n";
    const run = await fixture.applied({ command: undefined, env: { PATH: "/nowhere", FROM_RUN: odd } });
    await fixture.ready(run);
    const script =
      "process.stdin.on('data', (d) => console.log(JSON.stringify([process.argv.slice(1), String(d), process.env.A, process.env.FROM_RUN])))";

    const words = [process.execPath, "-e", script, odd, "", "-n"];
    const status = await ran(run, { words, stdin: odd, env: { A: odd } });

    expect(JSON.parse(status?.stdout ?? "")).toEqual([[odd, "", "-n"], odd, odd, odd]);
    expect(await ran(run, { id: "b", words: ["no-such-program"] })).toMatchObject({ exitCode: 127 });
  });

  it("leaves nothing behind when its run is gone", async () => {
    const run = await fixture.applied({ command: undefined });
    await fixture.ready(run);
    const words = ["/bin/sh", "-c", "echo $$; (trap '' TERM; while :; do sleep 0.1; done) & wait"];
    await fixture.compute.startExec(run.uid, 1, { ...plain, words });
    const status = await fixture.eventually(
      () => fixture.compute.readExec(run.uid, 1, "a", 100),
      (seen) => seen?.stdout !== "",
    );

    await fixture.compute.remove(run.uid, 1, { graceSeconds: 10, force: false });
    await fixture.until(run, (seen) => seen === undefined);

    expect(existsSync(`/proc/${status?.stdout.trim()}`)).toBe(false);
    expect(globSync(`/tmp/.berth-${run.uid}*`)).toEqual([]);
  });

  it.each<[string, Partial<Exec>]>([
    ["an id that is a path", { id: "../x" }],
    ["an invalid variable", { env: { "A=B;": "c" } }],
    ["a NUL character", { words: ["a\0b"] }],
  ])("is refused with %s", async (_, changes) => {
    const run = await fixture.applied({ command: undefined });
    await fixture.ready(run);

    await expect(fixture.compute.startExec(run.uid, 1, { ...plain, ...changes })).rejects.toThrow();
  });
});
