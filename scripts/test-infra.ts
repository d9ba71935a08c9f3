import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * `npm run test:infra`: what is deployed to AWS, without an account. Installs SST (once), bundles the functions, checks
 * the types of stacks/, and runs what is asserted of the resources that SST's own components make of them. With `--plan`
 * (`npm run deploy:plan`) it says what these are and what they cost instead, with `--audit` (`npm run audit:policies`) what
 * fails without each action of their roles.
 */
process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const version: string = JSON.parse(readFileSync("tools/sst/package.json", "utf8")).dependencies.sst;
// Written last, so that an install that was interrupted is done again.
const installed = ".sst/installed";
// Pulumi's own program and an account are needed by a deployment alone.
const offline = {
  SST_SKIP_DEPENDENCY_CHECK: "1",
  SST_NO_BUN: "1",
  SST_TELEMETRY_DISABLED: "1",
  AWS_EC2_METADATA_DISABLED: "true",
  // SST installs its own packages in the project: hundreds, whose registry would be asked about each one again.
  npm_config_prefer_offline: "true",
  npm_config_audit: "false",
};
const [wanted, ...rest] = process.argv.slice(2);

if (!existsSync(installed) || readFileSync(installed, "utf8") !== version) {
  say(`Installing SST ${version}: about a minute, once`);
  run("npm", ["ci", "--no-fund", "--no-audit"], "tools/sst");
  run("tools/sst/node_modules/.bin/sst", ["install", "--stage", "ci"]);
  writeFileSync(installed, version);
}
say("Bundling the functions");
run("node", ["scripts/bundle-all.ts"]);
say("Checking the types of stacks/");
run("tsc", ["-p", "stacks"]);
if (wanted === "--plan") run("node", ["stacks/plan/plan.ts", ...rest]);
else if (wanted === "--audit") run("node", ["tests/audit/audit.ts", ...rest]);
else run("vitest", ["run", "--project", "infra", ...process.argv.slice(2)]);

/** Tells what takes its time now. To standard error: a plan is what standard output holds. */
function say(step: string): void {
  process.stderr.write(`${step}\n`);
}

/** Ends this process where the command fails. */
function run(command: string, args: readonly string[], cwd = "."): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: "inherit", env: { ...process.env, ...offline } });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
