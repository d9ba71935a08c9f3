import "../../stacks/stage-machine-types.ts";
import { parseArgs } from "node:util";
import { printableText } from "#core/text/printable-text.ts";
import { applyPlan, planApply, refuseForeign } from "#kubernetes/setup/apply.ts";
import { listCapabilityStages } from "#kubernetes/setup/capability-stages.ts";
import { refuseOpening } from "#kubernetes/setup/gateway.ts";
import { describeApplyError, formatPlan } from "#kubernetes/setup/plan-lines.ts";
import { checkVersion } from "#kubernetes/setup/server-version.ts";
import { confirm } from "./confirm.ts";
import { type OpenCluster, openCluster } from "./open-cluster.ts";
import { findOwnCluster, readWanted } from "./wanted.ts";
import { writeError } from "./write-error.ts";

const help = `Applies deploy/kubernetes to the cluster of a stage. Shows what changes, and asks first.

  npm run cluster:apply -- --stage dev          the cluster that .env.dev names (EKS_CLUSTER), as your AWS identity
  KUBECONFIG=<file> npm run cluster:apply       another cluster, as the file says; KUBE_CONTEXT chooses its context

POD_CAPABILITIES of the stage, or of this shell, adds deploy/kubernetes/capabilities, and PREPULL_IMAGES adds
deploy/kubernetes/prepull. A stage with ACCESS=gateway adds deploy/kubernetes/gateway.

  --diff                 only show what would change; exit code 1 if something would
  --yes                  do not ask
  --kubeconfig <file>    reach the stage's cluster as the file says, for example through a tunnel
`;

/** Exit codes: 0 done, 1 failed or differs, 2 wrong use. */
const wrongUse = 2;

process.exitCode = await main().catch((error: unknown) => {
  writeError(describeApplyError(error));
  return 1;
});

async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === "number") return options;
  const { diff = false, yes = false, ...choice } = options;
  const { client, name, settings, stage } = await openCluster(choice);
  try {
    writeError(`deploy/kubernetes on ${name}:`);
    const capabilityStages = await listCapabilityStages(client);
    const { shared, owned } = await readWanted(settings, stage, capabilityStages);
    const others = capabilityStages.filter((deployment) => deployment !== owned?.deployment);
    if (others.length > 0) writeError(`deploy/kubernetes/capabilities stays for ${printableText(others.join(", "))}`);
    await sayVersion(client, stage);
    const plan = await planApply(client, shared, owned);
    for (const line of formatPlan(plan.changes)) process.stdout.write(`${printableText(line)}\n`);
    const differs = plan.changes.some(({ action }) => action !== "keep");
    refuseForeign(plan.changes);
    if (!settings.GATEWAY_ACCESS) refuseOpening(plan.changes);
    if (diff) return differs ? 1 : 0;
    if (differs && !yes && !(await confirm("Apply this?", "Nothing was applied"))) return wrongUse;
    // Also without a change: the inventory may be new.
    await applyPlan(client, plan);
    process.stderr.write(differs ? "Applied.\n" : "Nothing to change.\n");
    return 0;
  } finally {
    client.close();
  }
}

/** Prints a finding about the cluster's version. The plan reports a server that gives no answer. */
async function sayVersion(client: OpenCluster["client"], stage: OpenCluster["stage"]): Promise<void> {
  const report = await checkVersion(client, findOwnCluster(stage)).catch(() => undefined);
  for (const { what, missing, todo } of report?.findings ?? []) writeError(`${what}: ${missing}. ${todo}`);
}

/** Returns the exit code instead if the arguments are a question or wrong. */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        stage: { type: "string" },
        diff: { type: "boolean" },
        yes: { type: "boolean" },
        kubeconfig: { type: "string" },
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
