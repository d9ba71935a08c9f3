import { spawn } from "node:child_process";
import { CliError, exitCodes } from "../../failure.ts";
import { findJob } from "../../jobs/find-job.ts";
import { connect } from "../../login/connect.ts";
import { askScript } from "../../run/remote.ts";
import { includeHosts, isIncluded } from "../../ssh/ssh-config.ts";
import { hostAmong, writeHosts } from "../../ssh/ssh-hosts.ts";
import { sshTarget } from "../../ssh/ssh-session.ts";
import type { SshTarget } from "../../ssh/ssh-target.ts";
import { openLink } from "../../terminal/open-link.ts";
import { confirm, interruptSignal, isInteractive, out, outJson, say } from "../../terminal/terminal.ts";
import { printable } from "../../terminal/text.ts";

interface EditorFlags {
  readonly print: boolean;
  readonly json: boolean;
  readonly acceptNewHostKey: boolean;
}

interface Editor {
  readonly title: string;
  readonly program: string;
  /** Scheme of the editor's links. */
  readonly scheme: string;
}

/** Opens a job in VS Code. */
export function code(flags: EditorFlags, word?: string): Promise<void> {
  return openJob({ title: "VS Code", program: "code", scheme: "vscode" }, flags, word);
}

/** Opens a job in Cursor, whose program and links are those of VS Code under other names. */
export function cursor(flags: EditorFlags, word?: string): Promise<void> {
  return openJob({ title: "Cursor", program: "cursor", scheme: "cursor" }, flags, word);
}

async function openJob(
  editor: Editor,
  { print, json, ...flags }: EditorFlags,
  word: string | undefined,
): Promise<void> {
  await askToInclude(editor);
  const signal = interruptSignal();
  const berth = await connect({ signal });
  const job = await findJob(berth, word);
  const path = await workspacePath(await sshTarget(berth, job.job_id, signal, flags), signal);
  const host = hostAmong(await writeHosts(berth, signal), job);
  await includeHosts();
  const link = editorLink(editor, host, path);
  const printLink = () => (json ? outJson({ url: link, host, path }) : out(`${link}\n`));
  if (print) return printLink();
  const exitCode = await runEditor(editor, ["--remote", `ssh-remote+${host}`, path], signal);
  if (exitCode === undefined || (exitCode === 0 && json)) printLink();
  if (exitCode === undefined) return openByLink(editor, link);
  if (exitCode === 0) return say(`${editor.title} opens ${host}.`);
  throw new CliError(`${editor.program} ended with exit code ${exitCode}`, exitCodes.failed, `Open this link: ${link}`);
}

/** Editors read the user's own file. It changes only after the user agrees. */
async function askToInclude({ title }: Editor): Promise<void> {
  if (isIncluded()) return;
  if (!isInteractive()) {
    const message = `${title} finds jobs by ~/.ssh/config, which does not include the entries of berth`;
    throw new CliError(message, exitCodes.usage, "Include them with: berth ssh-config on");
  }
  if (await confirm(`${title} finds jobs by ~/.ssh/config. Put one Include line at its top?`)) return;
  throw new CliError("Nothing was opened", exitCodes.failed, "Without an editor, enter a job with: berth ssh");
}

const mark = "berth-workspace";

/** Asks the job for the directory of the user's files. */
async function workspacePath(target: SshTarget, signal: AbortSignal): Promise<string> {
  const script = `printf '\\n${mark}\\n%s\\n' "\${WORKSPACE:-$HOME}"`;
  const [path = ""] = await askScript(target, { script, signal }, mark);
  if (path.startsWith("/") && printable(path) === path) return path;
  const hint = "Enter the job with: berth ssh";
  throw new CliError(`The job reported an invalid workspace path: ${printable(path)}`, exitCodes.failed, hint);
}

function editorLink({ scheme }: Editor, host: string, path: string): string {
  const words = path.split("/").map(encodeURIComponent);
  return `${scheme}://vscode-remote/ssh-remote+${host}${words.join("/")}`;
}

/** Runs the editor's own program, without a shell. Returns undefined if the program is missing or cannot start. */
function runEditor({ program }: Editor, words: readonly string[], signal: AbortSignal): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: ["ignore", 2, 2], signal });
    child.once("error", () => (signal.aborted ? reject(signal.reason) : resolve(undefined)));
    child.once("close", (exitCode) => resolve(exitCode ?? exitCodes.failed));
  });
}

async function openByLink({ title, program }: Editor, link: string): Promise<void> {
  const isOpened = await openLink(link);
  say(
    isOpened
      ? `There is no ${program} on the PATH, so ${title} was asked to open this link.`
      : `There is neither ${program} on the PATH nor a display, so open this link yourself.`,
  );
}
