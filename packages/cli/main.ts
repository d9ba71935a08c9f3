import { version } from "./version.ts";

// The answer to --version needs none of the commands.
if (process.argv.length === 3 && process.argv[2] === "--version") {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  process.stdout.write(`berth ${version}\n`);
} else {
  await import("./start.ts");
}
