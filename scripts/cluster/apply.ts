import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { printableText } from "#core/text/printable-text.ts";
import { applyPlan, describeApplyError, formatPlan, planApply } from "#kubernetes/setup/apply.ts";
import { openCluster } from "./open-cluster.ts";

const help = `Applies deploy/kubernetes to the cluster of a stage. Shows what changes, and asks first.

  npm run cluster:apply -- --stage dev          the cluster that .env.dev names (EKS_CLUSTER), as your AWS identity
  KUBECONFIG=<file> npm run cluster:apply       another cluster, as the file says; KUBE_CONTEXT chooses its context

POD_CAPABILITIES of the stage, or of this shell, adds deploy/kubernetes/capabilities.

  --diff    only show what would change; exit code 1 if something would
  --yes     do not ask
`;

/** Exit codes: 0 done, 1 failed or differs, 2 wrong use. */
const wrongUse = 2;

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${printableText(describeApplyError(error))}\n`);
  return 1;
});

async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === "number") return options;
  const { stage, diff = false, yes = false } = options;
  const { client, name, manifests } = await openCluster(stage);
  try {
    process.stderr.write(`${printableText(`deploy/kubernetes on ${name}:`)}\n`);
    const plan = await planApply(client, manifests);
    for (const line of formatPlan(plan.changes)) process.stdout.write(`${printableText(line)}\n`);
    const differs = plan.changes.some(({ action }) => action !== "keep");
    if (diff) return differs ? 1 : 0;
    if (differs && !yes && !(await confirm())) return wrongUse;
    // Also without a change: the inventory may be new.
    await applyPlan(client, plan);
    process.stderr.write(differs ? "Applied.\n" : "Nothing to change.\n");
    return 0;
  } finally {
    client.close();
  }
}

/** Returns the exit code instead if the arguments are a question or wrong. */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        stage: { type: "string" },
        diff: { type: "boolean" },
        yes: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
    if (!values.help) return values;
    process.stdout.write(help);
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    return wrongUse;
  }
}

async function confirm(): Promise<boolean> {
  if (!(process.stdin.isTTY && process.stderr.isTTY)) {
    process.stderr.write("Nothing was applied: add --yes, since nobody can be asked here\n");
    return false;
  }
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await asking.question("Apply this? [y/N] ");
  asking.close();
  const isYes = /^y(es)?$/i.test(answer.trim());
  if (!isYes) process.stderr.write("Nothing was applied.\n");
  return isYes;
}
