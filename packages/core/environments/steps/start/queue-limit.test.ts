import { expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { pauseAdmission } from "../../../pools/admission/admission.ts";
import { refreshCapacity } from "../../../pools/capacity/capacity.ts";
import type { Stored } from "../../../ports/table.ts";
import { reconcile } from "../../../reconciler/reconcile.ts";
import { keyText, makeableKey, poolKey } from "../../../store/keys.ts";
import { createEnvironment } from "../../verbs/create.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Alice has the one machine for days; Bob is the first in line. */
async function firstInLine() {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings: { maxQueueHours: 1 } });
  await createEnvironment(world.as("alice"), newEnvironment("one", { hours: 72 }));
  await world.advance(MINUTE);
  await createEnvironment(world.as("bob"), newEnvironment("next"));
  return world;
}

test("the first job in the queue is cancelled after twice the limit if its start is postponed repeatedly", async () => {
  const world = await firstInLine();

  await world.advance(2 * HOUR - MINUTE);
  const before = await world.read("bob", "next");
  await world.advance(10 * MINUTE);

  const reason = "Waited in the queue for 2 hours, finally as the first in line";
  expect(before.phase).toBe("queued");
  expect(await world.read("bob", "next")).toMatchObject({ phase: "cancelled", reason });
});

test("a closed pool cancels no environment, first in the queue or not", async () => {
  const world = await firstInLine();
  await pauseAdmission(world.ctx, true);

  await world.advance(3 * HOUR);

  expect((await world.read("bob", "next")).phase).toBe("queued");
});

test("an unreadable ledger of machines still to be made cancels no environment", async () => {
  const world = await firstInLine();
  await createEnvironment(world.as("carol"), newEnvironment("behind"));
  await world.advance(MINUTE);
  await world.table.put({ ...makeableKey("h100"), writers: ["hand"], kind: "makeable", granted: "no list" } as Stored);

  await world.advance(3 * HOUR);

  expect([(await world.read("bob", "next")).phase, (await world.read("carol", "behind")).phase]).toEqual([
    ...["queued", "queued"],
  ]);
});

test("an environment that gets a machine while a slow worker ends its wait keeps its disk", async () => {
  const world = await memoryWorld({ nodes: [], settings: { maxQueueHours: 1 } });
  const { uid, ...key } = await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(MINUTE);
  let sleeps = 0;
  const get: typeof world.table.get = async (key) => {
    const item = await world.table.get(key);
    if (keyText(key) === keyText(poolKey("h100")) && ++sleeps === 1) await machineComes();
    return item;
  };
  async function machineComes(): Promise<void> {
    for (const node of newNodes({ h100: 1 })) world.compute.setNode(node);
    await refreshCapacity(world.ctx);
    await world.advance(MINUTE);
  }
  world.clock.advance(HOUR);

  await reconcile({ ...world.ctx, table: { ...world.table, get } }, { look: keyText(key) });

  const disk = world.table.all().find(({ kind }) => kind === "disk");
  expect(sleeps).toBeGreaterThan(0);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "active" });
  expect(disk).toMatchObject({ heldBy: { uid } });
});
