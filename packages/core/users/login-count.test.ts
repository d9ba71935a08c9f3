import { expect, test } from "vitest";
import { memoryWorld } from "#tests/worlds/memory-world.ts";
import { countLogin, MOST_LOGINS } from "./login-count.ts";

const refusal = expect.objectContaining({ kind: "tooMany", message: "Too many requests" });

async function countMany(ctx: Parameters<typeof countLogin>[0], address: string): Promise<void> {
  for (let n = 0; n < MOST_LOGINS; n += 1) await countLogin(ctx, address);
}

test("an address is refused after 60 attempts in a minute, with the time of the next minute", async () => {
  const { ctx, advance } = await memoryWorld();
  await advance(60_000 - (ctx.clock.now() % 60_000) + 15_000);
  await countMany(ctx, "203.0.113.7");

  const refused = countLogin(ctx, "203.0.113.7");
  await expect(refused).rejects.toEqual(refusal);
  await expect(refused).rejects.toMatchObject({ details: { retryAfterSeconds: 45 } });
  await countLogin(ctx, "203.0.113.8");

  await advance(45_000);
  await countLogin(ctx, "203.0.113.7");
});

test("the login counter expires by itself, and an unreadable one blocks no login", async () => {
  const { ctx, table } = await memoryWorld();
  const counts = () => table.all().filter(({ kind }) => kind === "logins");

  await countLogin(ctx, "203.0.113.7");
  const [counted] = counts();
  expect(counted).toMatchObject({ count: 1, ttl: Math.floor(ctx.clock.now() / 1000) + 120 });
  await table.put({ ...counted, pk: String(counted?.pk), sk: "-", writers: ["edited"], count: "many" } as never);
  await countLogin(ctx, "203.0.113.7");

  expect(counts()).toMatchObject([{ count: 1 }]);
});

test("simultaneous attempts all proceed, and at least one counts", async () => {
  const { ctx, table } = await memoryWorld();

  await Promise.all(Array.from({ length: 20 }, () => countLogin(ctx, "203.0.113.7")));

  const [counted] = table.all().filter(({ kind }) => kind === "logins");
  expect(counted?.count).toBeGreaterThanOrEqual(1);
});

test.each([
  ["2001:db8:1:2::7", "2001:0DB8:1:2:ffff:0:0:1"],
  ["2001:db8::1", "2001:db8:0:0:1::"],
  ["::1", "0:0:0:0:8::"],
  ["fe80::1%eth0", "fe80::2"],
  ["::ffff:203.0.113.7", "::FFFF:cb00:7107"],
])("the addresses %s and %s belong to one network", async (left, right) => {
  const { ctx } = await memoryWorld();
  await countMany(ctx, left);

  await expect(countLogin(ctx, right)).rejects.toEqual(refusal);
});

test.each([
  ["2001:db8:1:2::7", "2001:db8:1:3::7"],
  ["203.0.113.7", "203.0.113.70"],
  ["::ffff:203.0.113.7", "::ffff:203.0.113.70"],
  ["::1", "1::"],
])("the addresses %s and %s belong to different networks", async (left, right) => {
  const { ctx } = await memoryWorld();
  await countMany(ctx, left);

  await countLogin(ctx, right);
});
