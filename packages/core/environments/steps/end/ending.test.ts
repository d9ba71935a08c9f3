import { expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { memoryWorld, newEnvironment, newNodes, type WorldOptions } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";

test("an end takes four reconciles without a wait when its compute is gone at once", async () => {
  const { looks: messages, endedAfterMs } = await end({ removeMs: 0 });

  expect(messages).toEqual(["stopping", "removes its compute", "released", "cancelled"]);
  expect(endedAfterMs).toBe(0);
});

test("compute that ends slowly is settled the moment its end is signalled", async () => {
  const { endedAfterMs } = await end({ removeMs: 10_000 });

  expect(endedAfterMs).toBe(10_000);
});

test("slow compute without a hint is reconciled after 0, 1, 2 and then every 5 s", async () => {
  const { looks: messages, endedAfterMs } = await end({ removeMs: 10_000 }, { signals: false });

  expect(messages.filter((did) => did === "removes its compute")).toHaveLength(5);
  expect(endedAfterMs).toBe(13_000);
});

test.each([[{ signals: false } as const], [{}]])(
  "compute with held units is reconciled only when they may be released: %j",
  async (options) => {
    const { looks: messages, endedAfterMs } = await end({ removeMs: 10_000 }, { ...options, leavesTombstones: false });

    expect(messages).toEqual(["stopping", "removes its compute", "released", "cancelled"]);
    expect(endedAfterMs).toBe(43_000);
  },
);

/** Returns the log of each reconcile from the cancellation to the final phase, and the time that it took. */
async function end(delays: { readonly removeMs: number }, options: WorldOptions = {}) {
  const log = recordingLog();
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), delays, log, ...options });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();
  log.lines.length = 0;
  const askedAt = world.clock.now();
  await requestCancel(world.as("alice"), "one");
  await world.deliver();
  await world.advance(60_000);
  const {
    end: { at: endedAt },
  } = await world.read("alice", "one");
  const messages = log.lines.filter(({ event }) => event === "look").map(({ fields }) => String(fields.did));
  return { looks: messages.slice(0, messages.indexOf("cancelled") + 1), endedAfterMs: (endedAt ?? 0) - askedAt };
}
