import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn } from "@lydell/node-pty";
import { afterAll, beforeAll, expect, onTestFinished, type TestContext, test } from "vitest";
import { type CliFixture, cleanEnvironment, openCliFixture } from "./cli-fixture.ts";

let cli: CliFixture;
let place: string;
let env: Record<string, string>;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=4" });
  place = mkdtempSync(join(tmpdir(), "berth-completion-"));
  const bin = join(place, "bin");
  mkdirSync(bin);
  symlinkSync(join(import.meta.dirname, "berth.mjs"), join(bin, "berth"));
  symlinkSync(process.execPath, join(bin, "node"));
  const PATH = `${bin}:${process.env.PATH}`;
  env = { ...cleanEnvironment(), PATH, XDG_CONFIG_HOME: cli.state, HOME: place, ZDOTDIR: place, TERM: "dumb" };
  await cli.run("login");
  await cli.run("up", "-d", "-t", "cpu", "completes");
});
afterAll(async () => {
  await cli.close();
  rmSync(place, { recursive: true });
});

/** The line before Tab, and the line after it. */
const completed = [
  ["avai", "avail"],
  ["show comp", "show completes"],
  ["logs --fol", "logs --follow"],
  ["disks und", "disks undelete"],
  ["disks --del", "disks --deleted"],
  ["admin node go", "admin node gone"],
  ["completion zs", "completion zsh"],
  ["help exit-", "help exit-codes"],
] as const;

function skipWithout(shell: string, { skip }: TestContext): void {
  skip(spawnSync(shell, ["--version"]).status !== 0, `there is no ${shell} on the PATH`);
}

test("a real bash completes commands, flags, topics and names of jobs", (context) => {
  skipWithout("bash", context);
  const script = `eval "$(berth completion bash)"
    for line in "$@"; do
      COMP_WORDS=(berth $line); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _berth; echo "$line: \${COMPREPLY[*]}"
    done`;
  const lines = completed.map(([typed]) => typed);

  const { stdout } = spawnSync("bash", ["--norc", "-c", script, "bash", ...lines], { env, encoding: "utf8" });

  expect(stdout).toBe(completed.map(([typed, whole]) => `${typed}: ${whole.split(" ").at(-1)}\n`).join(""));
});

test("a real fish completes commands, flags, topics and names of jobs", (context) => {
  skipWithout("fish", context);
  const script = 'berth completion fish | source; for line in $argv; complete -C "berth $line"; end';
  const lines = completed.map(([typed]) => typed);

  const { stdout } = spawnSync("fish", ["--no-config", "-c", script, ...lines], { env, encoding: "utf8" });

  expect(stdout).toBe(completed.map(([, whole]) => `${whole.split(" ").at(-1)}\n`).join(""));
});

test("a real zsh completes commands, flags, topics and names of jobs", async (context) => {
  skipWithout("zsh", context);
  const zsh = spawn("zsh", ["-f", "-i"], { cols: 200, rows: 40, env });
  onTestFinished(() => zsh.kill("SIGKILL"));
  let shown = "";
  zsh.onData((part) => {
    shown += part;
  });
  // An EDITOR of vi would give zsh its keys.
  zsh.write('bindkey -e; autoload -Uz compinit; compinit -D -u; eval "$(berth completion zsh)"; echo is "ready"\r');
  await expect.poll(() => shown).toContain("is ready");

  for (const [typed, whole] of completed) {
    // Ctrl-A goes to the start of the line, which is printed and not run.
    zsh.write(`berth ${typed}\t\u0001echo typed: \r`);
    await expect.poll(() => shown).toContain(`\ntyped: berth ${whole}`);
  }
});

test("an unknown shell is wrong usage", async () => {
  expect(await cli.run("completion", "tcsh")).toMatchObject({ code: 2, stdout: "" });
});
