import { expect, test } from "vitest";
import { memoryWorld } from "#tests/worlds/memory-world.ts";
import type { Item } from "../ports/table.ts";
import { ownersReceiversKey } from "../store/keys.ts";
import { chargeReceiverTime, reserveReceiverTime } from "./share.ts";

const free = { may: "dial", reservedMs: 0 };

async function charged(...posts: readonly number[]) {
  const { ctx, clock, table } = await memoryWorld();
  const now = clock.now();
  for (const tookMs of posts) await chargeReceiverTime(ctx, "owner", { reservedMs: 0, tookMs }, now);
  return { ctx, now, table, take: (owner = "owner", later = 0) => reserveReceiverTime(ctx, owner, now + later) };
}

test("posts that end at once are free and leave nothing behind", async () => {
  const { table, take } = await charged(...Array.from({ length: 100 }, () => 900));

  expect(await take()).toEqual(free);
  expect(table.all().filter(({ kind }) => kind === "share")).toEqual([]);
});

test("simultaneous posts proceed only as far as their timeouts fit the share", async () => {
  const { take } = await charged(10_000);

  const taken: string[] = [];
  for (let n = 0; n < 10; n++) taken.push((await take()).may);

  expect(taken.filter((may) => may === "dial")).toHaveLength(5);
  expect(await take("other")).toEqual(free);
});

test("the unused part of a reservation is returned", async () => {
  const { ctx, now, take } = await charged(10_000);

  for (let n = 0; n < 10; n++) {
    const taken = await take();
    if (taken.may === "dial") await chargeReceiverTime(ctx, "owner", { ...taken, tookMs: 50 }, now);
  }

  expect(await take()).toMatchObject({ may: "dial" });
});

test("an owner above the share waits until it has decayed by half a second per second", async () => {
  const { now, take } = await charged(100_000);

  const waits = await take();

  expect(waits).toEqual({ may: "wait", until: now + 100_000 });
  expect(await take("owner", 100_001)).toMatchObject({ may: "dial" });
  expect(await take("owner", 250_000)).toEqual(free);
});

test("a late charge, or one by a slow clock, does not decay the same time twice", async () => {
  const { ctx, now, take } = await charged(60_000);

  await chargeReceiverTime(ctx, "owner", { reservedMs: 0, tookMs: 1_000 }, now - 120_000);

  expect(await take()).toMatchObject({ may: "wait" });
});

test("a reservation by a slow clock does not decay the same time twice", async () => {
  const { now, table, take } = await charged(30_000);
  await take("owner", 17_000);

  await take("owner", 0);

  expect(await table.get(ownersReceiversKey("owner"))).toMatchObject({ at: now + 17_000, heldMs: 41_500 });
});

test("an unreadable share delays nothing", async () => {
  const { ctx, now, table, take } = await charged(100_000);
  const item = (await table.get(ownersReceiversKey("owner"))) as Item;
  await table.put({ ...item, heldMs: "much" } as Item);

  expect(await take()).toEqual(free);
  await chargeReceiverTime(ctx, "owner", { reservedMs: 0, tookMs: 5_000 }, now);
});

test("posts that end at the same moment are all charged, even 64", async () => {
  const { ctx, now, table } = await charged();

  await Promise.all(
    Array.from({ length: 64 }, () => chargeReceiverTime(ctx, "owner", { reservedMs: 0, tookMs: 1_000 }, now)),
  );

  expect(await table.get(ownersReceiversKey("owner"))).toMatchObject({ heldMs: 64_000 });
});
