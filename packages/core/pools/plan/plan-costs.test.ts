import { expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { keyText, poolKey } from "../../store/keys.ts";
import { findPool } from "../ledger/record.ts";
import { planPools } from "./planner.ts";

/** Counts the hashes of a plan that compares this many holdings with their records. */
async function hashesOfPlan(jobs: number): Promise<number> {
  const world = await memoryWorld({ nodes: newNodes({ h100: jobs }) });
  for (let n = 0; n < jobs; n++) await createEnvironment(world.as("alice"), newEnvironment(`job-${n}`, { gpus: 8 }));
  await world.advance(10_000);
  world.clock.advance(60_000);
  let hashes = 0;
  const hash = (text: string) => {
    hashes += 1;
    return world.ctx.ids.hash(text);
  };
  const before = await findPool(world.ctx, "h100");

  await planPools({ ...world.ctx, ids: { ...world.ctx.ids, hash } }, [{ look: keyText(poolKey("h100")) }]);

  const after = await findPool(world.ctx, "h100");
  expect(after?.summary.active).toBe(jobs);
  expect(after?.compared.at).toBeGreaterThan(before?.compared.at ?? 0);
  return hashes;
}

test("comparing holdings with their records takes no hash for each of them", async () => {
  expect(await hashesOfPlan(12)).toBe(await hashesOfPlan(3));
});
