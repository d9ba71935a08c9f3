import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import type { ServerChannel } from "ssh2";
import { afterEach, beforeEach, expect, it } from "vitest";
import { joinProgram } from "#gateway/ssh/channels/ssh-program.ts";
import { enterRun } from "#process/exec/ssh-runs.ts";
import { eventually, type Fixture, openFixture } from "#process/fixture.ts";
import { startTerminal } from "./terminal-program.ts";

let fixture: Fixture;
beforeEach(async () => {
  fixture = openFixture({ isolation: "none" });
  await fixture.compute.apply(fixture.runOf({ command: undefined }));
  await eventually(fixture.observe, (seen) => seen?.state === "ready");
});
afterEach(() => fixture.close());

it("a terminal whose process has just ended accepts a new size and reports the end", async () => {
  const { terminal, exited } = await open(["sleep", "600"]);

  // Runs in one turn, so the event of the end cannot arrive before the resize.
  const holder = holderOfTerminal();
  process.kill(holder, "SIGKILL");
  while (!/\) Z /.test(readFileSync(`/proc/${holder}/stat`, "utf8")));
  terminal.resize(100, 30);

  expect(await exited).toBe(255);
});

it("a terminal that its command has closed accepts a new size and reports the exit code", async () => {
  const wait = join(fixture.root, "wait");
  writeFileSync(wait, "");
  const script = `trap '' HUP; exec <&- >&- 2>&-; while test -e '${wait}'; do sleep 0.02; done; exit 7`;
  const { terminal, exited } = await open(["sh", "-c", script]);
  const holder = holderOfTerminal();
  await eventually(
    () => listTerminals(holder),
    (held) => held.length === 0,
  );

  terminal.resize(100, 30);
  rmSync(wait);

  expect(await exited).toBe(7);
});

it.each([
  ["a shell that is left after Ctrl-C", "exit 130", 130, false],
  ["a program that fails with 255", "exit 255", 255, false],
  ["a program whose output is not read", "exit 141", 141, false],
  ["a program that is killed, as at the end of a run", "kill -KILL $$", 137, true],
  ["a program that gets SIGTERM, as at the end of a run", "kill -TERM $$", 143, true],
])(
  "the terminal of %s waits for the reason of an end only if the run may have ended",
  async (_, script, code, isCut) => {
    const { exited, cuts } = await open(["sh", "-c", script]);

    expect([await exited, cuts]).toEqual([code, [isCut]]);
  },
);

/** A terminal of the run that executes `words`, and the exit code that its client gets. */
async function open(words: readonly string[]) {
  const inside = await enterRun(fixture.home, `${fixture.uid}-r1`);
  const { promise: exited, resolve: exit } = Promise.withResolvers<number>();
  const channel = Object.assign(new PassThrough(), { exit, stderr: new PassThrough() }) as unknown as ServerChannel;
  const cuts: boolean[] = [];
  const window = { term: "xterm", columns: 80, lines: 24 };
  const terminal = await startTerminal(inside, words, window, () => () => undefined);
  joinProgram(channel, terminal, { hasTerminal: true, sayGoodbye: async (isCut) => void cuts.push(isCut) });
  return { terminal, exited, cuts };
}

/** Returns the terminals' master devices that a process has open. */
function listTerminals(pid: number): string[] {
  const files = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  return files.filter((file) => file.endsWith("/ptmx"));
}

/** The one process of this one that holds a terminal. */
function holderOfTerminal(): number {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8").trim().split(" ");
  const holds = (pid: string) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("terminal-host.ts");
  return Number(children.find(holds));
}
