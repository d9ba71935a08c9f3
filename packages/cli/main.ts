import { version } from "./version.ts";

const line = process.argv.slice(2).join(" ");
const isHelp = ["--help", "-h", "help"].includes(line);

// The answers to these need none of the commands.
if (isHelp || line === "--version") {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  process.stdout.write(isHelp ? await (await import("./root-help.ts")).ownRootHelp() : `berth ${version}\n`);
} else {
  await import("./start.ts");
}
