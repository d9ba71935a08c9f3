import { parseArgs } from "node:util";
import { cipherTimes } from "#tests/bench/clients/ciphers.ts";
import { commandLine } from "#tests/bench/clients/command-line.ts";
import { webConsole } from "#tests/bench/clients/console.ts";
import { exec } from "#tests/bench/clients/exec.ts";
import { gateway } from "#tests/bench/clients/gateway.ts";
import { gatewayNodes } from "#tests/bench/clients/gateway-nodes.ts";
import { sessions, workspaces } from "#tests/bench/clients/sessions.ts";
import { ssh } from "#tests/bench/clients/ssh.ts";
import { sshd } from "#tests/bench/clients/sshd.ts";
import { admission } from "#tests/bench/core/admission.ts";
import { backup } from "#tests/bench/core/backup.ts";
import { bigPlan } from "#tests/bench/core/big-plan.ts";
import { disks } from "#tests/bench/core/disks.ts";
import { ended } from "#tests/bench/core/ended.ts";
import { estimate } from "#tests/bench/core/estimate.ts";
import { ledger } from "#tests/bench/core/ledger.ts";
import { pipelineCost } from "#tests/bench/core/pipeline.ts";
import { plansInMemory, plansOnStack } from "#tests/bench/core/plans.ts";
import { population } from "#tests/bench/core/population.ts";
import { simulator } from "#tests/bench/core/simulator.ts";
import { sweepCost } from "#tests/bench/core/sweep.ts";
import { formatTable, isOver } from "#tests/bench/core/table.ts";
import { kubernetes } from "#tests/bench/kubernetes.ts";
import type { Measure, Row } from "#tests/bench/measure.ts";
import { memory } from "#tests/bench/memory.ts";
import { bundles } from "#tests/bench/server/bundles.ts";
import { calls } from "#tests/bench/server/calls.ts";
import { inits } from "#tests/bench/server/inits.ts";
import { freed, requests, start, submitted } from "#tests/bench/server/latency.ts";
import { ready } from "#tests/bench/server/ready.ts";
import { refusals } from "#tests/bench/server/refusals.ts";
import { served } from "#tests/bench/server/served.ts";

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
    cipherTimes,
    gateway,
    gatewayNodes,
    exec,
    sessions,
    workspaces,
    population,
    kubernetes,
    commandLine,
    webConsole,
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
console.log(`\n${formatTable(rows)}`);
const over = rows.filter(isOver);
console.log(`\n${rows.filter(({ limit }) => limit !== undefined).length - over.length} ok, ${over.length} over`);
process.exitCode = over.length > 0 ? 1 : 0;
