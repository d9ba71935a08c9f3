import { expect, test } from "vitest";
import type { Environment } from "#core/environments/record/record.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import type { NodeLedger } from "#core/pools/ledger/record.ts";
import type { Stored } from "#core/ports/table.ts";
import { memoryWorld, newEnvironment } from "../worlds/memory-world.ts";
import { viewPool } from "../worlds/pool-view.ts";
import { watch } from "./invariants/invariants.ts";

test("a planner that read a run as released may drop it after a forced end named it again", async () => {
  const { put, held, node, violations } = await active();
  const givenBack = await put(held, { phase: "stopping", run: { ...held.run, grant: null } });

  const forced = await put(givenBack, { reason: "Ended by the operator: it could not be read", run: held.run });
  await put(node, { held: [] });
  await put(forced, { run: { ...held.run, grant: null } });

  expect(violations).toEqual([]);
});

test("a ledger that forgets a holder of capacity is reported, even after a forced end", async () => {
  const { put, held, node, violations } = await active();

  await put(held, { phase: "stopping", reason: "Ended by the operator: it could not be read" });
  await put(node, { held: [] });

  expect(violations).toEqual([expect.stringContaining("the ledger forgot one, which holds capacity")]);
});

/** A run in the ledger whose objects are gone from the cluster. */
async function active() {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(60_000);
  const held = await world.read("alice", "one");
  const pool = await viewPool(world.ctx, "h100");
  const node = pool?.nodes.find((node) => node.held.length > 0);
  if (!pool || !node) throw new Error("Nothing holds it");
  await world.compute.remove(held.uid, held.run.n, { graceSeconds: 0, force: true });
  const nothing = () => undefined;
  const calmness = { awake: world.clock.now, calmSince: () => 0 };
  const watched = watch(world, world.clock.now, nothing, nothing, calmness);
  let writes = 0;
  async function put<Kept extends Environment | NodeLedger>(before: Kept, fields: Partial<Kept>): Promise<Kept> {
    const next = { ...before, ...fields, writers: [`write ${++writes}`, ...before.writers] };
    await watched.table.put(next as Stored);
    return next;
  }
  await watched.table.put(pool);
  const named = await put(node, {});
  return { put, node: named, held: await put(held, {}), violations: watched.violations };
}
