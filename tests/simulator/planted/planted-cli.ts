import type { PlantedBug } from "./plant.ts";

/** Mistakes of the command line and the SDK. Tests with real processes catch them. */
export const cliBugs: readonly PlantedBug[] = [
  {
    name: "Ctrl-C cancels the job",
    caughtBy: {
      project: "cli",
      file: "../cli/main-path.test.ts",
      title: "Ctrl-C in up leaves the job in the queue, and says how to reattach and how to end it",
    },
    edits: [
      {
        file: "../cli/jobs/watch-job.ts",
        find: "    throw options.onAbort ?",
        replace: "    await berth.jobs.cancel(job.job_id);\n    throw options.onAbort ?",
      },
    ],
  },
  {
    name: "an extension retried without its key",
    caughtBy: {
      project: "cli",
      file: "../sdk/repeats.test.ts",
      title: "jobs.extend is executed once if its answer is lost, and again for a second call",
    },
    edits: [
      {
        file: "../sdk/jobs.ts",
        find: '/extend`, { ...options, body, repeat: "key" }',
        replace: '/extend`, { ...options, body, repeat: "safe" }',
      },
    ],
  },
  {
    name: "words on standard output",
    caughtBy: {
      project: "cli",
      file: "../cli/definitions/more-commands.test.ts",
      title: "fields that the server ignores are named on stderr, and the answer is printed as usual",
    },
    edits: [
      {
        file: "../cli/terminal/terminal.ts",
        find: "stderr.write(`${wrapped(",
        replace: "stdout.write(`${wrapped(",
      },
    ],
  },
  {
    name: "exit code 0 on an error",
    caughtBy: {
      project: "cli",
      file: "../cli/exit-codes.test.ts",
      title: "an unreachable server ends a command with 7",
    },
    edits: [
      {
        file: "../cli/start.ts",
        find: "process.exitCode = code < 0 ? exitCodes.usage : code;",
        replace: "process.exitCode = code < 0 ? exitCodes.usage : 0;",
      },
    ],
  },
  {
    name: "a question in a pipe",
    caughtBy: {
      project: "cli",
      file: "../cli/exit-codes.test.ts",
      title: "no question is asked in a pipe, and the flag is named",
    },
    edits: [
      {
        file: "../cli/terminal/terminal.ts",
        find: "return Boolean(stderr.isTTY && process.stdin.isTTY);",
        replace: "return true;",
      },
    ],
  },
];
