import {
  type ApplicationText,
  buildApplication,
  buildRouteMap,
  run as runApp,
  text_en,
  UnexpectedPositionalError,
} from "@stricli/core";
import * as account from "./definitions/account-commands.ts";
import { admin } from "./definitions/admin-commands.ts";
import { disks } from "./definitions/disk-commands.ts";
import { helpCommand } from "./definitions/help-command.ts";
import * as job from "./definitions/job-commands.ts";
import { completion, cp, doctor, forward, jupyter, keys, share } from "./definitions/more-commands.ts";
import { stack } from "./definitions/stack-commands.ts";
import { code, cursor, rsync, run, sshConfig } from "./definitions/work-commands.ts";
import { describeError, toExitCode } from "./failure.ts";

const { login, logout, me, web, env, api, version } = account;
const { up, attach, wait, ls, show, logs, extend, end, ssh, avail } = job;

const routes = {
  up,
  run,
  attach,
  wait,
  ls,
  show,
  logs,
  ssh,
  cp,
  rsync,
  "ssh-config": sshConfig,
  code,
  cursor,
  forward,
  extend,
  end,
  share,
  jupyter,
  avail,
  disks,
  login,
  logout,
  me,
  web,
  env,
  keys,
  admin,
  api,
  doctor,
  stack,
  completion,
  version,
  help: helpCommand(() => commandNames),
};

export const commandNames: readonly string[] = Object.keys(routes);

/** `ssh HOST COMMAND` is a habit, and the other commands that run one look alike. */
function hintFor(error: unknown): string {
  const passesCommand = ["up", "run", "ssh"].includes(process.argv[2] ?? "");
  return error instanceof UnexpectedPositionalError && passesCommand
    ? `hint: Put the command to run after --, as in: berth ${process.argv[2]} NAME -- COMMAND`
    : "hint: See what a command takes with: berth help COMMAND";
}

const settings = {
  name: "berth",
  scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
  documentation: { disableAnsiColor: true, useAliasInUsageLine: true },
  determineExitCode: toExitCode,
  localization: {
    loadText: (): ApplicationText => ({
      ...text_en,
      exceptionWhileRunningCommand: (error) => describeError(error),
      noCommandRegisteredForInput: (context) =>
        `error: ${text_en.noCommandRegisteredForInput(context)}\nhint: See the commands with: berth help`,
      exceptionWhileParsingArguments: (error, ansiColor) =>
        `error: ${text_en.exceptionWhileParsingArguments.call(undefined as never, error, ansiColor)}\n${hintFor(error)}`,
    }),
  },
} as const;

/** Returns the commands. Commands for operators always work, but only operators see them in the help. */
export function berthApp({ showsAdmin }: { readonly showsAdmin: boolean }) {
  const hideRoute = { admin: !showsAdmin };
  return buildApplication(
    buildRouteMap({
      routes,
      docs: {
        brief: "GPU and CPU development environments",
        fullDescription:
          "GPU and CPU development environments. With --quiet every command prints only errors to standard error.",
        hideRoute,
      },
    }),
    settings,
  );
}

/** Returns what `berth --help` prints. */
export async function rootHelp(options: { readonly showsAdmin: boolean }): Promise<string> {
  let text = "";
  const write = (part: string) => {
    text += part;
  };
  await runApp(berthApp(options), ["--help"], { process: { stdout: { write }, stderr: { write } } });
  return text;
}
