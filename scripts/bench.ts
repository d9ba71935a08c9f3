import { parseArgs } from "node:util";
import { admission } from "./bench/admission.ts";
import { backup } from "./bench/backup.ts";
import { bigPlan } from "./bench/big-plan.ts";
import { bundles } from "./bench/bundles.ts";
import { calls } from "./bench/calls.ts";
import { commandLine } from "./bench/command-line.ts";
import { disks } from "./bench/disks.ts";
import { ended } from "./bench/ended.ts";
import { estimate } from "./bench/estimate.ts";
import { exec } from "./bench/exec.ts";
import { inits } from "./bench/inits.ts";
import { kubernetes } from "./bench/kubernetes.ts";
import { freed, requests, start, submitted } from "./bench/latency.ts";
import { ledger } from "./bench/ledger.ts";
import type { Measure, Row } from "./bench/measure.ts";
import { memory } from "./bench/memory.ts";
import { pipelineCost } from "./bench/pipeline.ts";
import { plansInMemory, plansOnStack } from "./bench/plans.ts";
import { population } from "./bench/population.ts";
import { ready } from "./bench/ready.ts";
import { refusals } from "./bench/refusals.ts";
import { served } from "./bench/served.ts";
import { sessions, workspaces } from "./bench/sessions.ts";
import { simulator } from "./bench/simulator.ts";
import { ssh } from "./bench/ssh.ts";
import { sshd } from "./bench/sshd.ts";
import { sweepCost } from "./bench/sweep.ts";
import { isOver, tableOf } from "./bench/table.ts";

/** Prints what was measured, each beside its limit; fails where one is exceeded. */
const measures: readonly Measure[] = [
  ...[
    calls,
    disks,
    bundles,
    inits,
    pipelineCost,
    admission,
    ledger,
    bigPlan,
    estimate,
    sweepCost,
    simulator,
    plansInMemory,
  ],
  ...[
    start,
    submitted,
    freed,
    ended,
    backup,
    plansOnStack,
    requests,
    served,
    ready,
    memory,
    refusals,
    ssh,
    sshd,
    exec,
    sessions,
    workspaces,
    population,
    kubernetes,
    commandLine,
  ],
];

const { values } = parseArgs({ options: { only: { type: "string" } } });
const chosen = measures.filter(({ name }) => values.only === undefined || name === values.only);
if (chosen.length === 0) {
  console.error(`--only takes one of: ${measures.map(({ name }) => name).join(", ")}`);
  process.exit(1);
}

const rows: Row[] = [];
for (const { name, run } of chosen) {
  const begun = performance.now();
  rows.push(...(await run()));
  console.error(`${name}: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}
console.log(`\n${tableOf(rows)}`);
const over = rows.filter(isOver);
console.log(`\n${rows.filter(({ limit }) => limit !== undefined).length - over.length} ok, ${over.length} over`);
process.exitCode = over.length > 0 ? 1 : 0;
