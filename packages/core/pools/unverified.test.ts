import { expect, test } from "vitest";
import { memoryIndex } from "#testing/memory-index.ts";
import { memoryWorld, newEnvironment, nodesOf } from "#testing/memory-world.ts";
import { viewPool } from "#testing/pool-view.ts";
import { createEnvironment } from "../environments/create.ts";
import { waitingFields } from "../environments/record.ts";
import { environmentKey, keyText, poolKey } from "../keys.ts";
import { reconcilePools } from "./planner.ts";

const MINUTE = 60_000;

test("where the index proposes hundreds who do not wait any more, the first in line stays it, and others pass it still", async () => {
  const world = await memoryWorld({ nodes: nodesOf({ h100: 2 }) });
  await createEnvironment(world.as("alice"), newEnvironment("runs", { hours: 24 }));
  await world.advance(MINUTE);
  const first = await createEnvironment(world.as("bob"), newEnvironment("both", { gpus: 16 }));
  await world.advance(MINUTE);
  const next = await createEnvironment(world.as("carol"), newEnvironment("short", { hours: 1 }));
  const index = memoryIndex("waiting", { clock: undefined, random: Math.random, latenessMs: 0 });
  for (const one of [first, next]) index.record(one.uid, one as never);
  for (let n = 0; n < 1_000; n++) {
    const [uid, owner] = [n.toString(16).padStart(32, "0"), (n % 100).toString(16).padStart(32, "0")];
    const fields = { ...waitingFields({ size: next.size, owner, queuedAt: first.queuedAt + n, uid }), uid, owner };
    index.record(uid, { ...environmentKey(owner, "gpu-dev", uid), writers: [], ...fields, size: next.size });
  }
  const query: typeof world.table.query = async (asked) =>
    "index" in asked && asked.index === "waiting" ? index.query(asked) : world.table.query(asked);
  const look = { look: keyText(poolKey("h100")), for: [keyText(next)] };

  await reconcilePools({ ...world.ctx, table: { ...world.table, query } }, [look]);

  const pool = await viewPool(world.ctx, "h100");
  expect(pool?.head?.uid).toBe(first.uid);
  expect(pool?.seen).toContain(first.uid);
  expect(pool?.granted.map(({ uid }) => uid)).toEqual([next.uid]);
});
