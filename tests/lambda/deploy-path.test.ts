import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { parseEnv } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CliFixture, openCliFixture } from "../../packages/cli/cli-fixture.ts";
import { readBlocks, readSection } from "../e2e/doc-blocks.ts";
import { missingPrograms, type ProgramResult, runProgram } from "../e2e/program.ts";
import { root } from "../e2e/stack-fixture.ts";

/** Runs what docs/deploy.md prints from an empty account to a GPU, in its order, as far as it goes without an account. */
const [settings = "", block = ""] = readBlocks("docs/deploy.md", "## From an empty account to a GPU", "sh");
const stage = "deploy-path";
const file = join(root, `.env.${stage}`);
const home = await mkdtemp(join(tmpdir(), "berth-deploy-path-"));
let cli: CliFixture | undefined;

beforeAll(async () => {
  // SST reads this file too, and would deploy with its credentials.
  const shared = existsSync(join(root, ".env")) ? parseEnv(await readFile(join(root, ".env"), "utf8")) : {};
  const names = Object.keys(shared).filter((name) =>
    /^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|PROFILE)$/.test(name),
  );
  expect(names, "credentials in .env of this checkout").toEqual([]);
  cli = await openCliFixture();
  await writeFile(file, settings);
});

afterAll(async () => {
  await cli?.close();
  await Promise.all([rm(file, { force: true }), rm(home, { recursive: true, force: true })]);
});

/** Runs a printed command in bash, for a deployer without credentials. */
function runInShell(command: string): Promise<ProgramResult> {
  const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter);
  const environment = { PATH, HOME: home, AWS_EC2_METADATA_DISABLED: "true", SST_SKIP_DEPENDENCY_CHECK: "1" };
  const quiet = { SST_NO_BUN: "1", SST_TELEMETRY_DISABLED: "1" };
  const words = command.replace("--stage dev", `--stage ${stage}`);
  return runProgram("bash", ["--norc", "-eu", "-c", words], { cwd: root, env: { ...environment, ...quiet } });
}

/** A local stack plays the deployment. Its users have credentials, as those of an account. */
async function runBerth(command: string): Promise<ProgramResult> {
  if (!cli) throw new Error("The local stack was not started");
  const environment = await cli.running.env();
  const env = Object.fromEntries(Object.entries(environment).filter(([name]) => name.startsWith("AWS_")));
  const words = command.replace(/<url .*>/, cli.running.url).split(" ");
  return cli.runWith({ env }, ...words.slice(2));
}

interface Step {
  readonly command: string;
  readonly run: (command: string) => Promise<ProgramResult>;
  readonly code: number;
  /** On standard output or error. */
  readonly says: readonly (string | RegExp)[];
}

const secret = (name: string): Step => ({
  command: `npm run --silent --logs-max=0 sst -- secret set ${name} "$(openssl rand -hex 32)" --stage dev`,
  run: runInShell,
  code: 1,
  says: ["AWS credentials are not configured"],
});

const steps: readonly Step[] = [
  {
    command: "npm ci && npm ci --prefix tools/sst",
    // `npm run test:infra` began with both.
    run: async () => ({
      code: existsSync(join(root, "tools/sst/node_modules/.bin/sst")) ? 0 : 1,
      stdout: "",
      stderr: "",
    }),
    code: 0,
    says: [],
  },
  {
    command: "npm run deploy:plan -- --stage dev",
    // The bundles are there.
    run: (command) => runInShell(command.replace("npm run deploy:plan --", "node stacks/plan/plan.ts")),
    code: 0,
    says: [
      `Stage ${stage} would have:\n`,
      "  aws:eks/nodeGroup:NodeGroup\n",
      "account needs a quota of ",
      `EKS_CLUSTER=new: this stage makes the cluster berth-${stage} with Kubernetes `,
      "group a10g in us-east-1a (EKS_NODE_GROUPS): 0 to 1 × g5.12xlarge\n",
      "Not checked: zones that offer the machine types: there are no AWS credentials.\n",
      "1,000 active environments: $",
    ],
  },
  secret("OriginSecrets"),
  secret("WebhookSecret"),
  {
    command: "npm run deploy -- --stage dev",
    run: (command) => runInShell(command.replace("npm run deploy --", "node scripts/cluster/deploy.ts")),
    code: 1,
    says: ["Not checked: zones that offer the machine types: there are no", "AWS credentials are not configured"],
  },
  {
    command: "npm run cluster:check -- --stage dev",
    run: runInShell,
    code: 1,
    says: [`EKS cluster berth-${stage} cannot be opened: there are no AWS credentials\n`],
  },
  {
    command: "npx berth login <url that the deployment prints>",
    run: runBerth,
    code: 0,
    says: ["Logged in"],
  },
  {
    command: "npx berth up first -t a10g -g 1 --hours 1 -- nvidia-smi",
    // Berth ends with 0 if it sees the job active before the job's command ends.
    run: async (command) => {
      const started = await runBerth(command);
      const { code } = await runBerth("npx berth wait first --until ended");
      return { ...started, code };
    },
    // The command's own end: this machine may have no GPU.
    code: missingPrograms("nvidia-smi").length === 0 ? 0 : 1,
    says: [/^Job +first \(\w{8}\)\n/, "Machine  1 × a10g (g5.12xlarge) for 1 h\n"],
  },
];

test("docs/deploy.md prints these commands, and no other", () => {
  expect(block.trim().split("\n")).toEqual(steps.map(({ command }) => command));
  expect(steps.length).toBeLessThanOrEqual(10);
});

test("docs/deploy.md says of each command what it prints, where it ran, and what to do if it fails", () => {
  const section = readSection("docs/deploy.md", "## From an empty account to a GPU");
  const rows = [...section.matchAll(/^\| `([^`]+)`[^|]*(?:\|[^|\n]*\w[^|\n]*){3}\|$/gm)].map(([, words]) => words);
  const names = steps.map(
    ({ command }) =>
      /^(?:npm run (?:--silent --logs-max=0 sst -- )?|npx )?((?:npm|secret|berth) \w+|[\w:]+)/.exec(command)?.[1],
  );

  expect(rows).toEqual([...new Set(names)]);
});

test.each(steps)("$command prints what its table says, as far as it goes without an account", async (step) => {
  const { code, stdout, stderr } = await step.run(step.command);

  const said = stdout + stderr;
  for (const words of step.says) expect(said).toMatch(words);
  expect([code, said]).toEqual([step.code, said]);
});

/** npm keeps its command line in the logs of its home. */
test("npm neither prints nor keeps a secret of these commands", async () => {
  for (const { command, run } of steps.filter(({ command: words }) => words.includes("openssl"))) {
    const { stdout, stderr } = await run(command.replace(/\$\(openssl[^)]*\)/, "not-to-be-read"));

    expect(stdout + stderr).not.toContain("not-to-be-read");
  }
  expect((await runProgram("grep", ["-rl", "not-to-be-read", home], { cwd: root })).stdout).toBe("");
});

test("the command that removes everything says that nothing is known without an account, and removes nothing", async () => {
  const [command = ""] = readBlocks("docs/deploy.md", "## Remove everything", "sh");

  const { code, stdout, stderr } = await runInShell(command.trim());

  expect(stdout).toContain(`What is left of stage ${stage}, in the order of its removal:\n`);
  expect(stdout).toContain("  LEFT: volumes and snapshots of disks: not known: there are no AWS credentials.\n");
  expect([code, stderr]).toEqual([1, expect.stringContaining("Nothing was removed. Do what the first of these says")]);
});
