import { describe, expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes, type WorldOptions } from "#tests/worlds/memory-world.ts";
import { postMessage } from "../../chat/post.ts";
import { readMessage } from "../../chat/read.ts";
import { parseInbox } from "../../chat/record.ts";
import type { Item } from "../../ports/table.ts";
import { reconcile } from "../../reconciler/reconcile.ts";
import { inboxKey, keyText } from "../../store/keys.ts";
import { reservation } from "../record/policy.ts";
import { createEnvironment } from "../verbs/create.ts";

const MINUTE = 60_000;
const SECOND = 1_000;
const steps = [-7 * MINUTE, 7 * MINUTE];

async function oneWorld(options: WorldOptions = {}) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), ...options });
  const alice = world.as("alice");
  const entry = { ...newEnvironment("one"), ports: [{ port: 8080, kind: "http" } as const] };
  const { uid } = await createEnvironment(alice, entry);
  await world.advance(MINUTE);
  return { world, alice, uid, read: () => world.read("alice", "one") };
}

describe.each(steps)("a wall clock that is set by %d ms", (step) => {
  test("ends an active environment when its end comes by that clock, not before, and within a minute", async () => {
    const { world, read } = await oneWorld();
    const endsAt = (await read()).times.endsAt ?? 0;

    world.clock.step(step);
    await world.advance(endsAt - world.clock.now() - MINUTE);
    const before = await read();
    await world.advance(2 * MINUTE);

    const { phase, times, end, run } = await read();
    expect([before.phase, before.run.n, before.times.endsAt]).toEqual(["active", 1, endsAt]);
    expect([phase, times.endsAt, run.n]).toEqual(["expired", endsAt, 1]);
    expect((end.at ?? 0) - endsAt).toBeLessThan(MINUTE);
    expect(world.compute.liveUnits("h100-1")).toBe(0);
  });

  // A clock that is set ahead looks like an outage, which the limit excludes.
  test("fails a run that cannot be prepared at its limit by that clock, not before", async () => {
    const { world, read } = await oneWorld({ delays: { imageMs: 600 * MINUTE } });
    const limit = ((await read()).run.preparingAt ?? 0) + 30 * MINUTE + Math.max(0, step);

    world.clock.step(step);
    await world.advance(limit - world.clock.now() - MINUTE);
    const before = (await read()).phase;
    await world.advance(3 * MINUTE);

    expect(before).toBe("preparing");
    expect(await read()).toMatchObject({
      phase: "failed",
      reason: expect.stringContaining("Not ready after 30 minutes"),
    });
    expect(world.compute.liveUnits("h100-1")).toBe(0);
  });

  test("lets a run that is being prepared become active at its own pace", async () => {
    const { world, read } = await oneWorld({ delays: { imageMs: 5 * MINUTE } });

    world.clock.step(step);
    await world.advance(10 * MINUTE + Math.max(0, -step));

    expect(await read()).toMatchObject({ phase: "active", run: { n: 1 } });
  });

  test("settles a message once that is being posted, and the next one after it", async () => {
    const { world, alice, uid } = await oneWorld();
    const { postToPort } = world.compute;
    let isSet = false;
    const stepping: typeof postToPort = async (...input) => {
      if (!isSet) world.clock.step(step);
      isSet = true;
      return postToPort(...input);
    };
    Object.assign(world.compute, { postToPort: stepping });
    const first = await postMessage(alice, "one", "a");
    const second = await postMessage(alice, "one", "b");

    await world.advance(10 * SECOND + Math.max(0, -step));

    expect(await readMessage(alice, uid, first.n)).toMatchObject({ state: "delivered" });
    expect(await readMessage(alice, uid, second.n)).toMatchObject({ state: "delivered" });
    expect(world.compute.posts(uid).map(({ request }) => request.body)).toEqual(
      ["a", "b"].map((message) => JSON.stringify({ message })),
    );
  });

  test("blocks others after the claim of a dead worker only until it expires by that clock", async () => {
    const { world, alice, uid } = await oneWorld();
    const { n } = await postMessage(alice, "one", "a");
    const dies = async () => {
      throw new Error("killed");
    };
    const table = { ...world.table, put: claimThenDie() };
    await reconcile(
      { ...world.ctx, table, compute: { ...world.compute, postToPort: dies } },
      { look: keyText(inboxKey(uid)) },
    );
    const { claim } = parseInbox((await world.table.get(inboxKey(uid))) as Item);

    world.clock.step(step);
    // Makes the inbox due, despite the claim.
    await postMessage(alice, "one", "b");
    await world.advance(Math.max(0, (claim?.until ?? 0) - world.clock.now() - SECOND));
    const early = world.clock.now() < (claim?.until ?? 0) ? world.compute.posts(uid).length : 0;
    await world.advance(2 * MINUTE);

    expect(claim?.n).toBe(n);
    expect(early).toBe(0);
    expect(await readMessage(alice, uid, n)).toMatchObject({ state: "delivered" });
    expect(world.compute.posts(uid)).toHaveLength(2);

    /** Writes the claim, then dies. */
    function claimThenDie(): typeof world.table.put {
      let isDead = false;
      return async (item, options) => {
        if (isDead) throw new Error("killed");
        await world.table.put(item, options);
        isDead = (item as Item).kind === "inbox" && (item as { claim?: unknown }).claim !== null;
      };
    }
  });
});

test("an environment without an end survives all clock changes in its first run", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const policy = { ...reservation, time: "none", restarts: true } as const;
  await createEnvironment(world.as("alice"), { ...newEnvironment("one"), policy });
  await world.advance(MINUTE);

  for (const step of [...steps, ...steps]) {
    world.clock.step(step);
    await world.advance(8 * MINUTE);
  }

  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { n: 1 } });
});
