import { parseArgs } from "node:util";
import { runSchedules } from "#testing/simulator/campaign.ts";
import { catchPlanted } from "#testing/simulator/plant.ts";
import { plantedBugs } from "#testing/simulator/planted.ts";
import { simulate } from "#testing/simulator/schedule.ts";

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "2000" },
    from: { type: "string", default: "1" },
    replay: { type: "string" },
    planted: { type: "boolean", default: false },
    first: { type: "boolean", default: false },
  },
});
const count = Number(values.schedules);

if (values.replay !== undefined) {
  const report = await simulate(Number(values.replay), { trace: (line) => console.log(line) });
  console.log(report);
  process.exitCode = report.violations.length > 0 ? 1 : 0;
} else if (values.planted) {
  let missed = 0;
  for (const bug of plantedBugs) {
    const caught = await catchPlanted(bug, count);
    console.log(caught ? `caught  ${bug.name}: ${caught}` : `MISSED  ${bug.name} in ${count} schedules`);
    if (!caught) missed += 1;
  }
  console.log(`${plantedBugs.length - missed} caught, ${missed} missed`);
  process.exitCode = missed > 0 ? 1 : 0;
} else {
  const result = await runSchedules({ from: Number(values.from), count, stopAtFirst: values.first });
  for (const { seed, violations } of result.failed.slice(0, 20)) console.log(`seed ${seed}: ${violations[0]}`);
  const { schedules, calls, most, seconds } = result;
  const each = { calls: Math.round(calls / schedules), most, ms: Number(((1000 * seconds) / schedules).toFixed(2)) };
  console.log(`${schedules} schedules, ${result.failed.length} with violations; each ${JSON.stringify(each)}`);
  if (result.failed.length > 0) console.log(`replay: npm run simulate -- --replay ${result.failed[0]?.seed}`);
  process.exitCode = result.failed.length > 0 ? 1 : 0;
}
