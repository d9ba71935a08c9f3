import { buildCommand, buildRouteMap } from "@stricli/core";
import { settingsAliases, settingsFlags } from "./job-commands.ts";
import { acceptNewHostKey, flag, job, optionalWord, ownJson } from "./parameters.ts";

export const run = buildCommand({
  loader: async () => (await import("../commands/jobs/run.ts")).run,
  parameters: {
    flags: {
      ...settingsFlags,
      pull: {
        kind: "parsed",
        parse: String,
        optional: true,
        variadic: true,
        brief: "Path in the directory that is copied back after the command, even if it failed",
        placeholder: "path",
      },
      dir: { kind: "parsed", parse: String, default: ".", brief: "Directory that is copied in", placeholder: "dir" },
      keep: flag("Leave the job alive after the command"),
      attach: flag("Come back to a run of this machine that was left"),
      yes: flag("Copy more than 2 GB"),
      json: ownJson,
    },
    aliases: { ...settingsAliases, y: "yes" },
    positional: optionalWord("name", "Name of the job"),
  },
  docs: {
    brief: "Run a command in a job of its own, with the files of this directory",
    fullDescription:
      "Starts a job, copies the directory in, runs the command there, prints its outputs, copies paths back, ends the job, and ends with the command's exit code; 255 is a failure of berth. In a git work tree the files are those that git tracks or would track, elsewhere those that .gitignore leaves; .berthignore leaves out more. Links are copied as links. The command has no standard input, and goes on while the connection is away. Ctrl-C asks whether to end the job or to detach from it; in a pipe it detaches with 130.",
    customUsage: ["--type h100 [--pull results]... [name] -- python train.py", "--attach [name]"],
  },
});

export const rsync = buildCommand({
  loader: async () => (await import("../commands/access/rsync.ts")).rsync,
  parameters: { flags: { json: ownJson } },
  docs: {
    brief: "Run rsync between this machine and a job",
    fullDescription:
      "Takes every option of rsync but -e. --json is an option of berth when it is the first word. The exit code is rsync's. rsync has to be installed here and in the job, or, for a disk that no job has, where the environment of the copy runs. An rsync older than 3.4.0 here takes nothing from a job, which could make it write elsewhere.",
    customUsage: [
      "[--json] [options of rsync] src/ job:src/",
      "[options of rsync] job:results .",
      "[options of rsync] src/ disk:NAME/src/",
    ],
  },
});

const sshConfigCommands = () => import("../commands/access/ssh-config.ts");

export const sshConfig = buildRouteMap({
  routes: {
    on: buildCommand({
      loader: async () => (await sshConfigCommands()).turnOn,
      parameters: { flags: { json: ownJson } },
      docs: {
        brief: "Make ssh and editors know your active jobs as berth-NAME",
        fullDescription:
          "Puts one Include line at the top of ~/.ssh/config. The entries are in a file of berth's own; up and end keep them up to date.",
      },
    }),
    off: buildCommand({
      loader: async () => (await sshConfigCommands()).turnOff,
      parameters: { flags: { json: ownJson } },
      docs: { brief: "Take the entries and the Include line away" },
    }),
  },
  docs: { brief: "Jobs in ~/.ssh/config" },
});

const editorCommands = () => import("../commands/access/editor.ts");

const editorParameters = {
  flags: { print: flag("Print the link and open nothing"), acceptNewHostKey, json: ownJson },
  positional: job,
} as const;

const editorDescription =
  "Waits while the job is prepared, and writes the entries of ssh-config. Without the editor's program on the PATH, its link is opened. Without a display the link is printed. The editor needs its Remote-SSH extension.";

export const code = buildCommand({
  loader: async () => (await editorCommands()).code,
  parameters: editorParameters,
  docs: { brief: "Open a job in VS Code", fullDescription: editorDescription },
});

export const cursor = buildCommand({
  loader: async () => (await editorCommands()).cursor,
  parameters: editorParameters,
  docs: { brief: "Open a job in Cursor", fullDescription: editorDescription },
});
