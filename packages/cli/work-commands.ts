import { buildCommand } from "@stricli/core";

export const rsync = buildCommand({
  loader: async () => (await import("./commands/rsync.ts")).rsync,
  parameters: { flags: {} },
  docs: {
    brief: "Run rsync between this machine and a job",
    fullDescription:
      "Takes every option of rsync but -e. The exit code is rsync's. rsync has to be installed here and in the job.",
    customUsage: ["[options of rsync] src/ job:src/", "[options of rsync] job:results ."],
  },
});
