import { setTimeout as sleep } from "node:timers/promises";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { findPool } from "#core/pools/ledger/record.ts";
import { memoryWorld, newEnvironment, newNodes } from "../../worlds/memory-world.ts";
import type { Measure } from "../measure.ts";
import { withStack } from "../server/local-stack.ts";
import { submitJob, wholeNode } from "./jobs.ts";

const submits = 500;
const mostPlans = 20;
const owners = 50;
const connections = 25;

/** Plans when all messages wait before the planner starts. It receives them in batches of 10. */
export const plansInMemory: Measure = {
  name: "plans-memory",
  async run() {
    const world = await memoryWorld({ nodes: newNodes({ [wholeNode.pool]: 1 }) });
    const plansSoFar = async () => (await findPool(world.ctx, wholeNode.pool))?.plans ?? 0;
    const before = await plansSoFar();
    for (let n = 0; n < submits; n++) {
      await createEnvironment(world.as(`owner-${n % owners}`), newEnvironment(`job-${n}`));
      world.clock.advance(2);
    }
    await world.deliver();
    const value = (await plansSoFar()) - before;
    return [{ name: "plans per 500 submits, memory ports", value, unit: "", limit: mostPlans }];
  },
};

/** Plans on the local stack, until two seconds after the last answer. */
export const plansOnStack: Measure = {
  name: "plans-stack",
  run: () =>
    withStack(`${wholeNode.type}=1`, async (stack) => {
      const from = stack.lines.length;
      const begun = performance.now();
      let left = submits;
      const submit = async () => {
        while (left-- > 0) await submitJob(stack, wholeNode.gpus);
      };
      await Promise.all(Array.from({ length: connections }, submit));
      const seconds = (performance.now() - begun) / 1000;
      await sleep(2_000);
      const value = stack.lines.slice(from).filter((line) => line.event === "plan").length;
      const note = `they took ${seconds.toFixed(1)} s; counted until 2 s later`;
      return [{ name: "plans per 500 submits, local stack", value, unit: "", limit: mostPlans, note }];
    }),
};
