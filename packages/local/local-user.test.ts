import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { disableUser } from "#core/users/disable.ts";
import { findOrCreateUser } from "#core/users/register.ts";
import { memoryWorld } from "#tests/worlds/memory-world.ts";
import { localIdentities } from "./identity/identities.ts";
import { localUser } from "./stack-runtime.ts";

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-user-"));
});

afterEach(() => rmSync(home, { recursive: true }));

test("the local user and the developer's login are the same user, whichever is created first", async () => {
  const { ctx } = await memoryWorld();
  const [developer] = localIdentities(home);

  const before = await (await localUser(ctx, developer))();
  const { uid, number } = await findOrCreateUser(ctx, { account: developer.account, role: "r", session: "developer" });
  const after = await (await localUser(ctx, developer))();

  expect(before).toEqual({ uid, number, username: "developer", keyPrefix: "", keyHash: "", isAdmin: false });
  expect(after).toEqual(before);
});

test("a disabled user is refused from the next request on", async () => {
  const { ctx } = await memoryWorld();
  const ask = await localUser(ctx, localIdentities(home)[0]);
  const { username } = await ask();

  await disableUser(ctx, username);

  await expect(ask()).rejects.toMatchObject({ situation: "disabledUser" });
});
