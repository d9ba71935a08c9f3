import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn } from "@lydell/node-pty";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { openServer } from "../sdk/server-fixture.ts";
import { type CliFixture, cleanEnvironment, openCliFixture } from "./cli-fixture.ts";

let cli: CliFixture;
let place: string;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=4" });
  place = mkdtempSync(join(tmpdir(), "berth-terminal-"));
  await cli.run("login");
});
afterAll(async () => {
  await cli.close();
  rmSync(place, { recursive: true });
});

test("a run --json whose job cannot be read at the end keeps its output and the command's exit code", async () => {
  let isAway = false;
  const { API_URL: url = "", API_KEY: key = "" } = await cli.running.env();
  const proxy = await openServer(async ({ method, path, headers, body }) => {
    if (isAway) return { status: 500, body: { detail: "The table is away" } };
    const { authorization = "", "content-type": contentType = "application/json" } = headers;
    const sent = { authorization, "content-type": contentType };
    const answer = await fetch(`${url}${path}`, { method, headers: sent, ...(body !== "" && { body }) });
    return { status: answer.status, body: await answer.text() };
  });
  onTestFinished(() => proxy.close());
  const env = { BERTH_URL: proxy.url, BERTH_API_KEY: key };
  const words = ["run", "--json", "-t", "cpu", "--keep", "--dir", place, "away", "--"];
  const command = 'echo ready; until [ -e "$WORKSPACE/go" ]; do sleep 0.1; done; echo done; exit 3';

  const run = cli.start({ env }, ...words, command);
  await run.says('"stdout":"ready');
  isAway = true;
  await cli.run("ssh", "away", "--", 'touch "$WORKSPACE/go"');

  const { code, stdout, stderr } = await run.ended;
  expect(code).toBe(3);
  expect(stdout.trimEnd().split("\n").at(-1)).toContain('"stdout":"done\\n"');
  expect(stderr).toMatch(/error: .*The table is away[\s\S]*The command has ended, and its job could not be read\.\n$/);
});

const ctrlC = "\u0003";
const question = "End the job, detach from it, or continue? [e/d/C]";

/** Starts a run whose command prints at every line that a file gets, as a person at a terminal. */
function startRun(name: string, ...flags: string[]) {
  const env = { ...cleanEnvironment(), BERTH_HOME: cli.stack.home, XDG_CONFIG_HOME: cli.state };
  const words = [
    "run",
    "-t",
    "cpu",
    "--dir",
    place,
    ...flags,
    name,
    "--",
    "touch lines; tail -f lines & echo begun; wait",
  ];
  const pty = spawn(process.execPath, [join(import.meta.dirname, "berth.mjs"), ...words], { cols: 120, rows: 30, env });
  let shown = "";
  let poll: () => void = () => undefined;
  pty.onData((part) => {
    shown += part;
    poll();
  });
  const ended = new Promise<number>((resolve) => pty.onExit(({ exitCode }) => resolve(exitCode)));
  const shows = (text: string, times = 1) =>
    new Promise<void>((resolve, reject) => {
      poll = () => {
        if (shown.split(text).length > times) resolve();
      };
      poll();
      void ended.then(() => reject(new Error(`The command ended: ${shown}`)));
    });
  return { pty, ended, shows, shown: () => shown };
}

async function findStatus(name: string): Promise<string | undefined> {
  for await (const { status } of cli.berth.jobs.list({ name })) return status;
  return undefined;
}

test("Ctrl-C at a terminal asks whether to continue or to end the job", async () => {
  const run = startRun("asked");
  await run.shows("begun");
  run.pty.write(ctrlC);
  await run.shows(question);
  run.pty.write("c\r");
  await cli.run("ssh", "asked", "--", `echo more >>"$WORKSPACE"/berth-terminal-*/lines`);
  await run.shows("more");
  run.pty.write(ctrlC);
  await run.shows(question, 2);
  run.pty.write("e\r");

  expect(await run.ended).toBe(130);
  expect(run.shown()).toContain("Ended asked (");
  expect(await cli.run("wait", "asked", "--until", "ended")).toMatchObject({ code: 1 });
  expect(await findStatus("asked")).toBe("cancelled");
});

test.each([
  ["the answer d", "d\r", []],
  ["a second Ctrl-C", ctrlC, ["--pull", "lines"]],
])("%s detaches without an effect on the job and says what paths to copy back cost", async (_, answer, flags) => {
  const name = `detached-${answer.charCodeAt(0)}`;
  const run = startRun(name, ...flags);
  await run.shows("begun");
  run.pty.write(ctrlC);
  await run.shows(question);
  run.pty.write(answer);

  expect(await run.ended).toBe(130);
  expect(run.shown()).toContain(`Come back with: berth run --attach ${name}.`);
  expect(run.shown().includes("keeps its machine until you come back or its time is over.")).toBe(flags.length > 0);
  expect(await findStatus(name)).toBe("active");
  await cli.run("end", name);
});
