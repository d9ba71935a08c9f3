import { expect, test } from "vitest";
import { memoryWorld, newActor } from "#tests/worlds/memory-world.ts";
import { apiKeyKey } from "../store/keys.ts";
import { writeRecord } from "../store/write-record.ts";
import { disableUser } from "./disable.ts";
import { issueKey } from "./issue.ts";
import { findUser } from "./record.ts";
import { findOrCreateUser } from "./register.ts";

const HOUR = 3_600_000;

test("an unreadable key keeps no other key of a disabled user working", async () => {
  const world = await memoryWorld();
  const ctx = { ...world.as("eve"), actor: newActor("eve") };
  const user = await findOrCreateUser(ctx, { account: "000000000000", role: "r", session: "eve" });
  const broken = await issueKey(ctx, user, "r");
  const whole = await issueKey(ctx, (await findUser(ctx, user.uid)) ?? user, "r");
  const item = await world.table.get(apiKeyKey(broken.hash));
  if (!item) throw new Error("no key");
  await writeRecord(ctx, { ...item, loginAt: undefined });

  await disableUser(ctx, "eve");
  await world.advance(HOUR);

  expect(await world.table.get(apiKeyKey(whole.hash))).toMatchObject({ disabled: true });
});
