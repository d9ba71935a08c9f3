import { buildCommand, buildRouteMap } from "@stricli/core";
import { acceptNewHostKey, flag, job, json, ownJson, words } from "./parameters.ts";

const keyCommands = () => import("../commands/account/keys.ts");

export const keys = buildRouteMap({
  routes: {
    ls: buildCommand({
      loader: async () => (await keyCommands()).list,
      parameters: { flags: { json } },
      docs: { brief: "List your API keys" },
    }),
    revoke: buildCommand({
      loader: async () => (await keyCommands()).revoke,
      parameters: {
        flags: { json },
        positional: {
          kind: "tuple",
          parameters: [{ parse: String, placeholder: "prefix", brief: "First 8 characters" }],
        },
      },
      docs: { brief: "Revoke an API key" },
    }),
  },
  defaultCommand: "ls",
  docs: { brief: "Your API keys" },
});

const jupyterCommands = () => import("../commands/jobs/jupyter.ts");

export const jupyter = buildRouteMap({
  routes: {
    on: buildCommand({
      loader: async () => (await jupyterCommands()).turnOn,
      parameters: { flags: { json }, positional: job },
      docs: { brief: "Start Jupyter in a job and print its address" },
    }),
    off: buildCommand({
      loader: async () => (await jupyterCommands()).turnOff,
      parameters: { flags: { json }, positional: job },
      docs: { brief: "Stop Jupyter in a job" },
    }),
    url: buildCommand({
      loader: async () => (await jupyterCommands()).showUrl,
      parameters: { flags: { json }, positional: job },
      docs: { brief: "Print the address of a job's Jupyter" },
    }),
    open: buildCommand({
      loader: async () => (await jupyterCommands()).openUrl,
      parameters: { flags: { json }, positional: job },
      docs: { brief: "Print the address of a job's Jupyter and open it in a browser" },
    }),
  },
  docs: { brief: "Jupyter in a job" },
});

export const share = buildCommand({
  loader: async () => (await jupyterCommands()).share,
  parameters: {
    flags: { json },
    positional: words("job user", "Job, your only live one by default, and GitHub user", 1),
  },
  docs: { brief: "Let the SSH keys of a GitHub user into a job", customUsage: ["[job] octocat"] },
});

const fileCommands = () => import("../commands/access/files.ts");

export const cp = buildCommand({
  loader: async () => (await fileCommands()).copy,
  parameters: {
    flags: { recursive: flag("Copy directories"), acceptNewHostKey, json: ownJson },
    aliases: { r: "recursive" },
    positional: {
      kind: "tuple",
      parameters: [
        { parse: String, placeholder: "from", brief: "Path, job:path or disk:NAME/path" },
        { parse: String, placeholder: "to", brief: "Path, job:path or disk:NAME/path" },
      ],
    },
  },
  docs: {
    brief: "Copy files into a job or a disk, or out of it",
    customUsage: ["[-r] data.csv job:", "job:results.csv .", "[-r] data disk:NAME/"],
  },
});

export const forward = buildCommand({
  loader: async () => (await fileCommands()).forward,
  parameters: {
    flags: { acceptNewHostKey, json: ownJson },
    positional: words("job port", "Job, and ports: 8888, or 9000:80 for two numbers", 2),
  },
  docs: { brief: "Lead ports of this machine to ports of a job", customUsage: ["job 8888 9000:80"] },
});

export const doctor = buildCommand({
  loader: async () => (await import("../commands/stack/doctor.ts")).doctor,
  parameters: { flags: { json } },
  docs: { brief: "Check the deployment, the key, the clock and SSH, and say what to do" },
});

export const completion = buildCommand({
  loader: async () => (await import("../commands/completion.ts")).completion,
  parameters: {
    flags: {},
    positional: {
      kind: "tuple",
      parameters: [
        {
          parse: String,
          placeholder: "shell",
          brief: "bash, zsh or fish",
          proposeCompletions: (partial: string) => ["bash", "zsh", "fish"].filter((shell) => shell.startsWith(partial)),
        },
      ],
    },
  },
  docs: { brief: 'Print the completion of a shell: eval "$(berth completion bash)"' },
});
