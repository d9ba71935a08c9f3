import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSupervisor, type SupervisorFixture, until } from "./container/supervisor-fixture.ts";

let fixtures: SupervisorFixture[];

beforeEach(async () => {
  fixtures = [await openSupervisor(), await openSupervisor()];
});

afterEach(() => Promise.all(fixtures.map((fixture) => fixture.close())));

/** Less than a pipe holds, so that the command does not wait for the reader. */
const lines = Array.from({ length: 9_000 }, (_, at) => `${at + 1}\n`).join("");
const print = "seq 1 9000";

/** Starts a run whose output goes to a pipe, as a container's does. Only the test reads it. */
async function runToPipe(fixture: SupervisorFixture, script: string) {
  await promisify(execFile)("mkfifo", [fixture.file("out")]);
  const pipe = await open(fixture.file("out"), constants.O_RDONLY | constants.O_NONBLOCK);
  const words = ["/bin/sh", "-c", script];
  const run = await fixture.run(words, { by: ["bash", "-c", 'exec "$@" >out 2>&1', "bash"], isShort: true });
  return { run, pipe };
}

/** Reads the next bytes; "" at the end of the pipe. */
async function readSome(pipe: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await pipe.read(Buffer.alloc(4_096), 0, 4_096, null);
  return buffer.toString("utf8", 0, bytesRead);
}

describe("the end of a container whose output is read slowly", () => {
  it("comes after the last byte was read, with the command's code", async () => {
    const [fixture] = fixtures as [SupervisorFixture];
    const { run, pipe } = await runToPipe(fixture, `${print}; exit 7`);
    await until(() => run.lastWords() !== undefined);

    let text = "";
    const codesBefore = new Set<number | null>();
    while (text.length < lines.length) {
      await sleep(30);
      codesBefore.add(run.child.exitCode);
      text += await readSome(pipe);
    }

    expect(await run.exit).toBe(7);
    expect(text).toBe(lines);
    expect([...codesBefore]).toEqual([null]);
    await pipe.close();
  });

  it("comes after a while if nothing is ever read, and sooner after SIGTERM", async () => {
    const [patient, hurried] = fixtures as [SupervisorFixture, SupervisorFixture];
    const second = await runToPipe(
      hurried,
      `trap 'exit 3' TERM; ${print}; touch printed; while :; do sleep 0.05; done`,
    );
    await until(async () => (await hurried.ask("ready")).code === 0);
    await promisify(execFile)("sh", ["-c", `until [ -e ${hurried.file("printed")} ]; do sleep 0.02; done`]);
    const first = await runToPipe(patient, `${print}; exit 7`);
    await until(() => first.run.lastWords() !== undefined);

    second.run.child.kill("SIGTERM");
    const earlier = await Promise.race([first.run.exit, second.run.exit]);

    expect(earlier).toBe(3);
    expect(await first.run.exit).toBe(7);
    await Promise.all([first.pipe.close(), second.pipe.close()]);
  });
});
