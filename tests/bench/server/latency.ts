import { cancelJob, findLogLine, parseTime, submitJob, untilActive, wholeNode } from "../core/jobs.ts";
import { type Measure, median, percentileRows } from "../measure.ts";
import { type LocalStack, withStack } from "./local-stack.ts";

const starts = 5;
const jobs = 30;
const handovers = 25;
const requestSeconds = 3;
const connections = 16;

export const start: Measure = {
  name: "start",
  async run() {
    const seconds: number[] = [];
    for (let n = 0; n < starts; n++) {
      seconds.push(await withStack(`${wholeNode.type}=1`, async ({ healthyMs }) => healthyMs / 1000));
    }
    const note = `median of ${starts}, from an empty home`;
    return [{ name: "npm start to healthy", value: median(seconds), unit: "s", limit: 3, note }];
  },
};

/** Time from submit to active, one job after another on an idle stack with free nodes. */
export const submitted: Measure = {
  name: "submitted",
  run: () =>
    withStack(`${wholeNode.type}=${jobs}`, async (stack) => {
      const times: number[] = [];
      for (let n = 0; n < jobs; n++) {
        const begun = performance.now();
        await untilActive(stack, await submitJob(stack, 1));
        times.push(performance.now() - begun);
      }
      return percentileRows("submit → active", times, { p50: 500, note: "polling GET" });
    }),
};

/** Time from a cancelled job to the next grant, when all waiting jobs need the same whole node. */
export const freed: Measure = {
  name: "freed",
  run: () =>
    withStack(`${wholeNode.type}=1`, async (stack) => {
      const fromFree: number[] = [];
      const fromCancel: number[] = [];
      const queue: string[] = [];
      for (let n = 0; n <= handovers; n++) queue.push(await submitJob(stack, wholeNode.gpus));
      for (const holder of queue.slice(0, handovers)) {
        await untilActive(stack, holder);
        const times = await handOver(stack, holder);
        fromFree.push(times.fromFree);
        fromCancel.push(times.fromCancel);
      }
      const note = "by the times of the stack's own log lines, written after each record";
      return [
        ...percentileRows("capacity freed → next preparing", fromFree, { p99: 1_000, note }),
        ...percentileRows("cancel → next preparing", fromCancel, {}),
      ];
    }),
};

async function handOver(stack: LocalStack, holder: string) {
  const from = stack.lines.length;
  const cancelledAt = Date.now();
  await cancelJob(stack, holder);
  const [free, preparing] = await Promise.all([
    findLogLine(stack, "cancelled", from),
    findLogLine(stack, "took its grant", from),
  ]);
  return { fromFree: parseTime(preparing) - parseTime(free), fromCancel: parseTime(preparing) - cancelledAt };
}

/** GET of an active job over kept connections. The client runs on the same machine. */
export const requests: Measure = {
  name: "requests",
  run: () =>
    withStack(`${wholeNode.type}=1`, async (stack) => {
      const id = await submitJob(stack, 1);
      await untilActive(stack, id);
      const end = performance.now() + requestSeconds * 1000;
      let answered = 0;
      const ask = async () => {
        for (; performance.now() < end; answered++) await stack.call("GET", `/v1/jobs/${id}`);
      };
      await Promise.all(Array.from({ length: connections }, ask));
      const note = `GET job, ${connections} connections, ${requestSeconds} s`;
      return [{ name: "embedded stack: requests per second", value: answered / requestSeconds, unit: "/s", note }];
    }),
};
