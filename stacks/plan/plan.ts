import "../stage-machine-types.ts";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { synthesize } from "#tests/synthesis/synthesize.ts";
import { printableText } from "../../packages/core/text/printable-text.ts";
import { readAccess } from "../access.ts";
import type { FunctionsFile } from "../compute/functions-file.ts";
import { readStage } from "../stage.ts";
import { readStageFiles } from "../stage-files.ts";
import { accessLines } from "./access-plan.ts";
import { clusterLines, findClusterNeeds, findEksClient } from "./cluster-plan.ts";
import { countAlarmMetrics, estimateCosts, type Load, type Prices } from "./costs.ts";
import { accountLines } from "./new-cluster/account-lines.ts";
import { makesOwnCluster } from "./new-cluster/check-new-cluster.ts";
import { newClusterLines } from "./new-cluster-plan.ts";
import { findConcurrencyNeed, quotaLines } from "./quota.ts";

/**
 * `npm run deploy:plan -- --stage dev` lists the resources of a deployment and their monthly cost. It needs no
 * account, so it does not know existing resources. With AWS credentials it also checks the stage's EKS cluster, which
 * it only reads. It invents and names settings that neither `.env` nor `.env.<stage>` has.
 */
const madeUp = {
  DOMAIN: "berth.example",
  ALLOWED_ACCOUNTS: "111111111111",
  ALLOWED_ROLES: "Developer",
  EKS_CLUSTER: "cluster",
  LOGIN_SERVER_ID: "berth.example",
  ALARM_EMAIL: "operator@berth.example",
};
/** Only a gateway has host keys. */
const madeUpOfGateway = { SSH_HOST_KEYS: `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"A".repeat(43)}` };

function readAsked() {
  const { stage } = parseArgs({ options: { stage: { type: "string", default: "dev" } } }).values;
  const fields = readStageFiles(stage);
  const examples = { ...madeUp, ...(readAccess(fields) === "gateway" && madeUpOfGateway) };
  const unset = Object.entries(examples).filter(([name]) => !fields[name]);
  const settings = { ...fields, ...Object.fromEntries(unset) };
  return { stage, unset, settings, planned: readStage(stage, settings) };
}

/** Returns lines without control characters. AWS and settings may hold them. */
function formatPrintable(text: string): string {
  return text
    .split("\n")
    .map((line) => `${printableText(line)}\n`)
    .join("");
}

function readOrEnd(): ReturnType<typeof readAsked> {
  try {
    return readAsked();
  } catch (error) {
    // A stack trace would hide the message for the user.
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(formatPrintable(message));
    process.exit(1);
  }
}

const { stage, unset, settings, planned } = readOrEnd();
// Standard output holds only the plan.
process.stderr.write(`Asking the components of SST what stage ${stage} would be made of: about a minute\n`);
const resources = await synthesize(stage, settings);

const print = (text: string) => process.stdout.write(formatPrintable(text));
if (unset.length > 0) {
  print(`Made up, since no file says them: ${unset.map(([name, value]) => `${name}=${value}`).join(", ")}.`);
  print("A deployment needs them, but for ALARM_EMAIL outside of production and without a budget.\n");
}
const prices = JSON.parse(readFileSync(new URL("prices.json", import.meta.url), "utf8")) as Prices;
const made: Record<string, number> = {};
for (const { type, read: result } of resources)
  if (type.startsWith("aws:") && !result) made[type] = (made[type] ?? 0) + 1;
print(`Stage ${stage} would have:`);
for (const [type, count] of Object.entries(made)) print(`${String(count).padStart(6)}  ${type}`);
print("");
const functions = JSON.parse(readFileSync("functions.json", "utf8")) as FunctionsFile;
const hasCluster = !unset.some(([name]) => name === "EKS_CLUSTER");
async function listClusterLines(): Promise<string[]> {
  const environment = { ...process.env, ...settings };
  if (makesOwnCluster(planned)) {
    const costs = newClusterLines(planned, planned.newCluster, prices);
    return [...costs, "", ...(await accountLines(planned, functions, environment, [findConcurrencyNeed(resources)]))];
  }
  const eks = hasCluster ? await findEksClient(environment) : "EKS_CLUSTER is not set";
  return await clusterLines(eks, findClusterNeeds(planned, functions, settings.DEPLOY_ACCOUNT));
}
for (const lines of [quotaLines(resources), accessLines(planned, prices.gateway), await listClusterLines()])
  print(`${lines.join("\n")}\n`);

const loads: Readonly<Record<string, Load>> = {
  "Nobody asks": { requestsPerDay: 0, activeEnvironments: 0 },
  "1,000 requests a day": { requestsPerDay: 1_000, activeEnvironments: 0 },
  "1,000,000 requests a day": { requestsPerDay: 1_000_000, activeEnvironments: 0 },
  "1,000 active environments": { requestsPerDay: 0, activeEnvironments: 1_000 },
  "10,000 jobs a day, of an hour each": { requestsPerDay: 0, activeEnvironments: 10_000 / 24, jobsPerDay: 10_000 },
};
const alarmType = "aws:cloudwatch/metricAlarm:MetricAlarm";
const alarms = resources.filter(({ type, read: result }) => type === alarmType && !result);
const priced = { ...made, [alarmType]: alarms.reduce((sum, { inputs }) => sum + countAlarmMetrics(inputs), 0) };
const places = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
const dollars = (usd: number) => `$${usd.toLocaleString("en", places)}`;
print(`A month in ${prices.region} by the prices of ${prices.date}, free tiers left out, and without what`);
print(
  "the list at the end names. Writes of beginnings and ends of jobs were measured. How long requests, looks and plans",
);
print(
  "take, how many plans and calls of the key they need, how much web shells are used: guesses of stacks/plan/costs.ts:",
);
for (const [name, load] of Object.entries(loads)) {
  const lines = estimateCosts(load, functions, priced, prices).filter(({ amount }) => amount > 0);
  print(`\n${name}: ${dollars(lines.reduce((sum, { usd }) => sum + usd, 0))}`);
  for (const { what: subject, price, amount, usd } of lines) {
    const { usd: unit, per } = prices.prices[price];
    const each = per === 1 ? `$${unit}` : `$${unit} / ${per.toLocaleString("en")}`;
    const sum = `${amount.toLocaleString("en", { maximumFractionDigits: 1 })} × ${each}`;
    print(`  ${dollars(usd).padStart(10)}  ${subject.padEnd(35)}  ${sum}`);
  }
}
print(
  "\nBeside the stage, a month of each unit, and the machines of node groups (https://aws.amazon.com/ec2/pricing/):",
);
for (const { what: subject, usd, unit } of prices.beside)
  print(`  ${dollars(usd).padStart(10)}  ${subject}, each ${unit}`);
