import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cleanEnvironment } from "../packages/cli/cli-fixture.ts";
import { comparable, runShown, shownCommands } from "../packages/cli/doc-session-fixture.ts";

/**
 * `npm run try-readme` clones the last commit, runs the README's commands there like a newcomer, and prints how long
 * each took. Fails if an output differs from the README. `npm ci` needs the network.
 */
const root = fileURLToPath(new URL("..", import.meta.url));
const place = mkdtempSync(join(tmpdir(), "berth-newcomer-"));
const clone = join(place, "berth");
const environment = { ...cleanEnvironment(), PORT: "0", XDG_CONFIG_HOME: join(place, "config") };
let totalSeconds = 0;
let stack: ReturnType<typeof spawn> | undefined;

execFileSync("git", ["clone", "--quiet", "--depth", "1", `file://${root}`, clone]);
try {
  for (const shown of shownCommands(readFileSync(join(clone, "README.md"), "utf8"))) {
    const startedAt = performance.now();
    const printed = shown.command === "npm start" ? await start() : await runShown(shown, clone, environment);
    const seconds = (performance.now() - startedAt) / 1000;
    totalSeconds += seconds;
    console.log(`${seconds.toFixed(1).padStart(6)} s  ${shown.command}`);
    // The output of npm depends on its version and on Node.
    if (shown.command === "npm ci" || comparable(printed) === comparable(shown.output)) continue;
    console.error(`The output differs from the README:\n${printed}`);
    process.exitCode = 1;
  }
  console.log(`${(totalSeconds / 60).toFixed(1)} minutes`);
} finally {
  await stop();
  rmSync(place, { recursive: true });
}

function start(): Promise<string> {
  const child = spawn("npm", ["start"], { cwd: clone, env: environment, detached: true });
  stack = child;
  let output = "";
  return new Promise((resolve, reject) => {
    const poll = (part: unknown) => {
      output += String(part);
      const [line] = /^Berth listens on \S+/m.exec(output) ?? [];
      if (line !== undefined) resolve(line);
    };
    child.stdout?.on("data", poll);
    child.stderr?.on("data", poll);
    child.once("error", reject).once("exit", () => reject(new Error(output)));
  });
}

/** Ends the stack and its environments like Ctrl-C in its terminal. */
async function stop(): Promise<void> {
  if (stack?.pid === undefined || stack.exitCode !== null) return;
  const exited = new Promise((resolve) => stack?.once("exit", resolve));
  process.kill(-stack.pid, "SIGINT");
  await exited;
}
