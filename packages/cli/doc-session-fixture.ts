import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CliFixture, cleanEnvironment, programFor } from "./cli-fixture.ts";

/** A command that a page shows after `$ `, and the output that is pasted below it. */
export interface ShownCommand {
  readonly command: string;
  readonly output: string;
}

/** Runs the commands of a page one after another in an empty directory. `berth` is the packed one, `npx berth` the source. */
export interface DocSession {
  readonly directory: string;
  run(shown: ShownCommand): Promise<string>;
  close(): void;
}

const fence = /^```console\n([\s\S]*?)^```$/gm;

/** Returns the commands in the console blocks of a page. */
export function shownCommands(text: string): ShownCommand[] {
  return [...text.matchAll(fence)].flatMap(([, block = ""]) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const [command = "", ...lines] = part.split("\n");
        return { command, output: lines.join("\n") };
      }),
  );
}

/** Returns a page with other outputs below its commands. */
export function withOutputs(text: string, outputs: readonly string[]): string {
  let at = 0;
  return text.replace(fence, (whole, block: string) => {
    const parts = block.split(/^\$ /m).slice(1);
    const lines = parts.map((part) => `$ ${part.split("\n")[0]}\n${outputs[at++] ?? ""}`);
    return whole.replace(block, () => lines.join(""));
  });
}

/** Removes values that differ between runs: ids, times, ports, tokens, column widths, live states. */
export function comparable(output: string): string {
  return output
    .split("\n")
    .filter((line) => !/^(queued|preparing|active)( #\d+)? · /.test(line))
    .join("\n")
    .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "<uuid>")
    .replace(/\b[0-9a-f]{8}\b/g, "<id>")
    .replace(/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<time>")
    .replace(/(127\.0\.0\.1|localhost):\d+|(-p) \d+/g, "$1$2:<port>")
    .replace(/(token=|code=|snap-|Host berth-)[\w…-]+/g, "$1<word>")
    .replace(/[\d.]+ (s|min|h)( \d+ min)? left/g, "<time> left")
    .replace(/(key prefix +)\S+/g, "$1<word>")
    .replace(/\b\d+(\.\d+)?( s\b|(?= GPU-hours)|( MB| kB))/g, "<number>$2")
    .replace(/(GPU-hours +)[\d.]+/g, "$1<number>")
    .replace(/[ \t]+/g, " ")
    .trim();
}

/** Opens a directory for the commands. With `isElsewhere` they find no stack of this machine, as on a user's laptop. */
export function openDocSession(cli: CliFixture, isElsewhere: boolean): DocSession {
  const directory = mkdtempSync(join(tmpdir(), "berth-doc-"));
  const commands = mkdtempSync(join(tmpdir(), "berth-bin-"));
  const exec = (words: readonly string[]) => `exec '${process.execPath}' '${programFor(words)}' "$@"`;
  const berth = `[ "$1" = stack ] && ${exec(["stack"])}\n${exec([])}`;
  writeFileSync(join(commands, "berth"), `#!/bin/sh\n${berth}\n`, { mode: 0o755 });
  writeFileSync(join(commands, "npx"), `#!/bin/sh\nshift\n${exec(["stack"])}\n`, { mode: 0o755 });
  const environment = {
    ...cleanEnvironment(),
    PATH: `${commands}:${process.env.PATH}`,
    BERTH_HOME: isElsewhere ? join(directory, "none") : cli.stack.home,
    XDG_CONFIG_HOME: cli.state,
  };
  return {
    directory,
    run: (shown) => runShown(shown, directory, environment),
    close() {
      for (const made of [directory, commands]) rmSync(made, { recursive: true });
    },
  };
}

/** Runs a command and returns its output. Interrupts a command that is shown with `^C` after its first line. */
export function runShown({ command, output: pasted }: ShownCommand, cwd: string, env: NodeJS.ProcessEnv) {
  const isInterrupted = pasted.includes("^C\n");
  const script = isInterrupted ? `exec 2>&1; exec ${command}` : `exec 2>&1; ${command}`;
  // A terminal interrupts the whole process group, and npm exec passes no signal on to the command that it runs.
  const child = spawn("bash", ["-c", script], { cwd, env, stdio: ["ignore", "pipe", "ignore"], detached: true });
  let output = "";
  let isAsked = false;
  child.stdout.on("data", (part) => {
    output += String(part);
    if (!isInterrupted || isAsked || !output.includes("\n")) return;
    isAsked = true;
    output += "^C\n";
    if (child.pid !== undefined) process.kill(-child.pid, "SIGINT");
  });
  return new Promise<string>((resolve, reject) => {
    child.once("error", reject).once("close", () => resolve(output));
  });
}

/** Reads a page of the repository, and writes it. */
export function pageAt(path: string) {
  const url = new URL(`../../${path}`, import.meta.url);
  return { text: readFileSync(url, "utf8"), write: (text: string) => writeFileSync(url, text) };
}
