import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { UserContext } from "#core/context.ts";
import { requestCancel, requestExtension } from "#core/environments/verbs/actions.ts";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { type Client, openSocketFixture, type SocketFixture } from "./socket-fixture.ts";

const ID = "ws-demo-alice-1756062811";
const MINUTE = 60_000;

/** A workspace of an hour. */
describe("a notice in a web shell", () => {
  let fixture: SocketFixture;
  let key: string;
  let ctx: UserContext<"table" | "queue" | "sealer">;
  beforeEach(async () => {
    fixture = await openSocketFixture({ pollMs: 20 });
    await fixture.workspace("alice", ID);
    await fixture.world.deliver();
    key = await fixture.key("alice", { expiresAt: Number.MAX_SAFE_INTEGER });
    ctx = { ...fixture.world.as("alice"), dialect: "onmemos", noun: "workspace" };
  });
  afterEach(() => fixture.close());

  const connected = async (): Promise<Client> => {
    const client = fixture.connect(`/v1/cloudrun/workspaces/${ID}/shell?api_key=${key}`);
    expect(await client.next()).toMatchObject({ type: "welcome" });
    return client;
  };
  const notice = (message: unknown) => ({ type: "notice", message });

  it("reports the coming end, an extension and the end, each once per connection", async () => {
    await fixture.world.advance(25 * MINUTE);
    const [first, second] = [await connected(), await connected()];

    await fixture.world.advance(6 * MINUTE);
    const warnings = [await first.next(), await second.next()];
    await requestExtension(ctx, ID, 60 * MINUTE);
    await fixture.world.advance(MINUTE);
    const extended = await first.next();
    await requestCancel(ctx, ID);

    expect(warnings).toEqual([notice("Expires in 30 minutes"), notice("Expires in 30 minutes")]);
    expect(extended).toEqual(notice(expect.stringMatching(/^Extended: expires at 2026-01-20 \d\d:\d\d UTC$/)));
    expect(await first.next()).toEqual(notice("This workspace was cancelled: Cancelled by its owner"));
    expect([await first.closed, await second.closed]).toEqual([1001, 1001]);
  });

  it("repeats after the welcome the current warning, with the remaining time", async () => {
    await fixture.world.advance(32 * MINUTE);

    const client = await connected();

    expect(await client.next()).toEqual(notice("Expires in 28 minutes"));
  });

  it("says that a connection is closed because the time is over", async () => {
    await fixture.world.advance(57 * MINUTE);
    const client = await connected();
    await client.next();

    await fixture.world.advance(4 * MINUTE);

    expect(await client.next()).toEqual(notice("This workspace has expired: Its time is over"));
    expect(await client.closed).toBe(1001);
  });

  it("says that a connection is closed because of a deletion", async () => {
    const client = await connected();

    await requestDelete(ctx, ID);

    expect(await client.next()).toEqual(notice(expect.stringMatching(/^This workspace was deleted/)));
    expect(await client.closed).toBe(1001);
  });

  it("says why a connection is closed, even if a command is the first to notice the end", async () => {
    await fixture.close();
    fixture = await openSocketFixture({ pollMs: 3_600_000 });
    await fixture.workspace("alice", ID);
    await fixture.world.deliver();
    key = await fixture.key("alice");
    const client = await connected();
    await requestCancel({ ...fixture.world.as("alice"), dialect: "onmemos", noun: "workspace" }, ID);

    client.send({ type: "command", command: "late" });

    expect(await client.next()).toEqual(notice("This workspace was cancelled: Cancelled by its owner"));
    expect(await client.closed).toBe(1001);
  });

  it("is one line without control sequences", async () => {
    const client = await connected();

    await requestCancel(ctx, ID, "a\u001b]0;title\u0007\r\n\u202eb\u009b2Jc");

    expect(await client.next()).toEqual(notice("This workspace was cancelled: a ]0;title b 2Jc"));
  });
});
