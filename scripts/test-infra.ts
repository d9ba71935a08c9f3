import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * `npm run test:infra` tests the AWS deployment without an account. It installs SST once, bundles the functions, checks
 * the types of stacks/, and runs the tests on the resources that SST's own components create. `--plan` (`npm run
 * deploy:plan`) prints the resources and their cost instead. `--audit` (`npm run audit:policies`) prints which tests
 * fail without each action of their roles.
 */
process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const version: string = JSON.parse(readFileSync("tools/sst/package.json", "utf8")).dependencies.sst;
// Written last, so that an interrupted install is repeated.
const installed = ".sst/installed";
// Only a deployment needs Pulumi's own program and an account.
const offline = {
  SST_SKIP_DEPENDENCY_CHECK: "1",
  SST_NO_BUN: "1",
  SST_TELEMETRY_DISABLED: "1",
  AWS_EC2_METADATA_DISABLED: "true",
  // SST installs hundreds of packages in the project, and npm would ask the registry about each one again.
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
// The plan may ask EKS, with any credentials of the deployer.
if (wanted === "--plan") run("node", ["stacks/plan/plan.ts", ...withStage(rest)], ".", {});
else if (wanted === "--audit") run("node", ["tests/audit/audit.ts", ...rest]);
else run("vitest", ["run", "--project", "infra", ...process.argv.slice(2)]);

/** The plan without a stage is that of `dev`. */
function withStage(words: readonly string[]): string[] {
  return words.some((word) => word.startsWith("--stage")) ? [...words] : ["--stage", "dev", ...words];
}

/** Prints progress to standard error, because standard output contains the plan. */
function say(step: string): void {
  process.stderr.write(`${step}\n`);
}

function run(command: string, args: readonly string[], cwd = ".", more: NodeJS.ProcessEnv = offline): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: "inherit", env: { ...process.env, ...more } });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
