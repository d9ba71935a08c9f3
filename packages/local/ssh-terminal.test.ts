import { readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import type { ServerChannel } from "ssh2";
import { afterEach, beforeEach, expect, it } from "vitest";
import { enterRun } from "#process/ssh-runs.ts";
import { eventually, openTrial, type Trial } from "#process/trial.ts";
import { startTerminal } from "./ssh-terminal.ts";

let trial: Trial;
beforeEach(async () => {
  trial = openTrial({ isolation: "none" });
  await trial.compute.apply(trial.runOf({ command: undefined }));
  await eventually(trial.observe, (seen) => seen?.state === "ready");
});
afterEach(() => trial.close());

it("a terminal whose process has just ended takes a new size, and its client is told of the end", async () => {
  const inside = await enterRun(trial.home, `${trial.uid}-r1`);
  const { promise: exited, resolve: exit } = Promise.withResolvers<number>();
  const channel = Object.assign(new PassThrough(), { exit }) as unknown as ServerChannel;
  const window = { term: "xterm", cols: 80, rows: 24, width: 0, height: 0, modes: {} };
  const terminal = await startTerminal(channel, inside, ["sleep", "600"], window, () => undefined);

  // In one turn: nothing can tell this process of the end before it sends the size.
  const holder = holderOfTerminal();
  process.kill(holder, "SIGKILL");
  while (!/\) Z /.test(readFileSync(`/proc/${holder}/stat`, "utf8")));
  terminal.resize(100, 30);

  expect(await exited).toBe(255);
});

/** The one process of this one that holds a terminal. */
function holderOfTerminal(): number {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8").trim().split(" ");
  const holds = (pid: string) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("terminal-host.ts");
  return Number(children.find(holds));
}
