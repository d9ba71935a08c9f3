import { buildCommand } from "@stricli/core";
import { usualHours, usualImage } from "../jobs/defaults.ts";
import {
  acceptNewHostKey,
  flag,
  job,
  json,
  optionalWord,
  parseHours,
  parseSeconds,
  text,
  watch,
  wholeNumber,
  words,
  yes,
} from "./parameters.ts";

/** The flags that name settings of a job. */
export const settingsFlags = {
  file: text("YAML file with settings. Without --type, berth.yaml of this directory", "file"),
  type: text("Type of machine, for example h100 or cpu", "type"),
  gpus: wholeNumber("Number of GPUs, 1 by default. All GPUs of 2 to 8 machines start a job of several machines", "n"),
  hours: {
    kind: "parsed",
    parse: parseHours,
    optional: true,
    brief: `Time: 2, 90m or 1.5h. ${usualHours} hour by default`,
    placeholder: "time",
  },
  minHours: {
    kind: "parsed",
    parse: parseHours,
    optional: true,
    brief: "Accept less time, but this much, on machines that close before the job would end",
    placeholder: "time",
  },
  image: text(`Container image, ${usualImage} by default`, "image"),
  disk: text("Disk that keeps your files. It is made if there is none of this name", "name"),
  diskSize: wholeNumber("Size of a disk that is made, in GB", "gb"),
  env: {
    kind: "parsed",
    parse: String,
    optional: true,
    variadic: true,
    brief: "Environment variable",
    placeholder: "NAME=VALUE",
  },
  github: text("GitHub user whose SSH keys get in too", "user"),
  registryUser: text("User of the image's private registry, with the password in REGISTRY_PASSWORD", "user"),
  grace: {
    kind: "parsed",
    parse: parseSeconds,
    optional: true,
    brief: "Time from SIGTERM to SIGKILL of the command: 30s or 2m",
    placeholder: "time",
  },
  jupyter: flag("Start Jupyter"),
} as const;

export const settingsAliases = { f: "file", t: "type", g: "gpus", i: "image", e: "env" } as const;

export const up = buildCommand({
  loader: async () => (await import("../commands/jobs/up.ts")).up,
  parameters: {
    flags: {
      ...settingsFlags,
      requeue: flag("Return the job to the queue if its machine is taken back, drained or lost"),
      detach: flag("Do not wait until the job is active"),
      dryRun: flag("Only tell when the job would start and how many GPU-hours it would use"),
      json,
    },
    aliases: { ...settingsAliases, d: "detach" },
    positional: optionalWord("name", "Name of the job"),
  },
  docs: {
    brief: "Start a job and wait until it is active",
    fullDescription:
      "Ctrl-C stops the wait and leaves the job alone. Words behind -- are the job's command, and a single word is a line for its shell. Without a command the job lives until its time is over.",
    customUsage: ["--type h100 --gpus 1 --hours 2 [--disk data] [name] [-- command…]"],
  },
});

export const attach = buildCommand({
  loader: async () => (await import("../commands/jobs/wait.ts")).attach,
  parameters: { flags: { json }, positional: job },
  docs: { brief: "Watch a job until it is active" },
});

export const wait = buildCommand({
  loader: async () => (await import("../commands/jobs/wait.ts")).wait,
  parameters: {
    flags: {
      until: { kind: "enum", values: ["active", "ended"], default: "active", brief: "State to wait for" },
      timeout: {
        kind: "parsed",
        parse: parseSeconds,
        optional: true,
        brief: "Longest wait: 30s, 10m or 1h",
        placeholder: "time",
      },
      json,
    },
    positional: job,
  },
  docs: {
    brief: "Wait until a job is active or ended",
    fullDescription:
      "Exit codes: 0 if the state was reached, 1 if the job failed or was cancelled, 6 after the timeout.",
  },
});

export const ls = buildCommand({
  loader: async () => (await import("../commands/jobs/list.ts")).list,
  parameters: {
    flags: {
      all: flag("Jobs that ended too"),
      status: text("Only these states, separated by commas", "states"),
      watch,
      json,
    },
    aliases: { a: "all", s: "status", w: "watch" },
  },
  docs: { brief: "List your live jobs" },
});

export const show = buildCommand({
  loader: async () => (await import("../commands/jobs/show.ts")).show,
  parameters: { flags: { watch, json }, aliases: { w: "watch" }, positional: job },
  docs: { brief: "Show a job: state, machine, actions, timeline" },
});

export const logs = buildCommand({
  loader: async () => (await import("../commands/jobs/logs.ts")).logs,
  parameters: {
    flags: {
      follow: flag("Go on until the job ended"),
      tail: wholeNumber("How many lines to begin with, 200 by default", "lines"),
      raw: flag("Leave escape sequences in what a terminal shows"),
      json,
    },
    aliases: { f: "follow", n: "tail" },
    positional: job,
  },
  docs: {
    brief: "Print what a job's command printed",
    fullDescription:
      "A log holds the output as it was printed, without the time of a line, so there is no --since. --tail prints the last lines, and --follow those that come. For times, have the command print them.",
  },
});

const change = () => import("../commands/jobs/change.ts");

export const extend = buildCommand({
  loader: async () => (await change()).extend,
  parameters: {
    flags: { json },
    positional: words("job time", "Job, your only live one by default, and time: 2, 90m", 1),
  },
  docs: { brief: "Add time to a job", customUsage: ["[job] 2h"] },
});

export const end = buildCommand({
  loader: async () => (await change()).end,
  parameters: {
    flags: { all: flag("All your live jobs"), yes, json },
    aliases: { a: "all", y: "yes" },
    positional: words("job", "Names or ids. Your only live job by default"),
  },
  docs: { brief: "End jobs" },
});

export const ssh = buildCommand({
  loader: async () => (await import("../commands/access/ssh.ts")).ssh,
  parameters: {
    flags: { agent: flag("Forward your SSH agent"), acceptNewHostKey },
    aliases: { A: "agent" },
    positional: job,
  },
  docs: {
    brief: "Open a shell in a job, or run a command there",
    fullDescription:
      "Uses a key of its own and the host key that the API names, so your ~/.ssh is not read. With a command the exit code is the command's; 255 is a failure of berth or ssh.",
    customUsage: ["[job] [-- command…]"],
  },
});

export const avail = buildCommand({
  loader: async () => (await import("../commands/jobs/availability.ts")).availability,
  parameters: { flags: { watch, json }, aliases: { w: "watch" } },
  docs: { brief: "Show which GPUs are free" },
});
