import { type Measure, percentileRows } from "../measure.ts";
import { withStack } from "../server/local-stack.ts";
import { findLogLine, parseTime, submitJob, untilOver, wholeNode } from "./jobs.ts";

const jobs = 20;

/** Time from the end of a command, which prints the time last, until its GPUs are free. */
export const ended: Measure = {
  name: "ended",
  run: () =>
    withStack(`${wholeNode.type}=1`, async (stack) => {
      const times: number[] = [];
      for (let n = 0; n < jobs; n++) {
        const from = stack.lines.length;
        const id = await submitJob(stack, wholeNode.gpus, { command: "sleep 1; date +%s%3N" });
        await untilOver(stack, id);
        const freedAt = parseTime(await findLogLine(stack, "released", from));
        const { logs } = await stack.call<{ logs: string }>("GET", `/v1/jobs/${id}/logs`);
        times.push(freedAt - Number(logs.trim()));
      }
      return percentileRows("end of a command → GPUs free", times, { p99: 500, note: `${jobs} jobs` });
    }),
};
