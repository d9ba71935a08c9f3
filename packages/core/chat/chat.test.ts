import { describe, expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { type Policy, reservation } from "../environments/record/policy.ts";
import { createEnvironment, type NewEnvironment } from "../environments/verbs/create.ts";
import { requestDelete } from "../environments/verbs/delete.ts";
import { requestStart } from "../environments/verbs/start.ts";
import { requestStop } from "../environments/verbs/stop.ts";
import type { RunPort } from "../ports/compute.ts";
import type { Key, Stored, Table } from "../ports/table.ts";
import { reconcile } from "../reconciler/reconcile.ts";
import { chatKey, inboxKey, keyText } from "../store/keys.ts";
import { dropMessages } from "./drop.ts";
import { postMessage } from "./post.ts";
import { countWaiting, readMessage, waitForDelivery } from "./read.ts";
import { findMessage, parseInbox } from "./record.ts";

const policy: Policy = { ...reservation, time: "none", restarts: true };
const ports: readonly RunPort[] = [{ port: 8080, kind: "http" }];

/** Creates an environment of alice's with a port and restarts; it is active unless `input` says otherwise. */
async function chatWorld(input: Partial<NewEnvironment> = {}) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const alice = world.as("alice");
  const made = await createEnvironment(alice, {
    ...newEnvironment("talks", { gpus: 1 }),
    policy,
    ports,
    ...input,
  });
  await world.advance(10_000);
  const say = (text: string) => postMessage(alice, "talks", text);
  const waiting = () => countWaiting(alice, made);
  return { world, alice, made, say, waiting, heard: () => heardBy(world, made.uid) };
}

function heardBy(world: MemoryWorld, uid: string): string[] {
  return world.compute.posts(uid).map(({ request }) => (JSON.parse(request.body) as { message: string }).message);
}

type Fixture = Awaited<ReturnType<typeof chatWorld>>;

async function sleep({ world, alice, made }: Fixture): Promise<void> {
  await dropMessages(alice, made);
  await requestStop(alice, "talks");
  await world.advance(10_000);
}

const anInbox = async (world: MemoryWorld, uid: string) => {
  const item = await world.table.get(inboxKey(uid));
  if (!item) throw new Error("No inbox");
  return parseInbox(item);
};

test("a message to an active environment is delivered at once, and its reply can be read", async () => {
  const { alice, made, say, waiting, heard } = await chatWorld();

  const posted = await say("hello");
  const before = await waiting();
  const status = await waitForDelivery(alice, posted, 5_000);

  expect(posted).toEqual({ uid: made.uid, n: 1 });
  expect(before).toBe(1);
  expect(status).toEqual({ state: "delivered", isAnswered: true, reply: { reply: "hello" } });
  expect([heard(), await waiting()]).toEqual([["hello"], 0]);
});

test("messages have numbers without gaps and arrive once each, in order, even if many are posted at once", async () => {
  const { world, say, heard, waiting } = await chatWorld();

  const posted = await Promise.all(["a", "b", "c", "d"].map(say));
  await world.advance(5_000);
  const later = await say("e");
  await world.advance(5_000);

  expect(posted.map(({ n }) => n).toSorted()).toEqual([1, 2, 3, 4]);
  expect(later.n).toBe(5);
  const inOrder = ["a", "b", "c", "d"].toSorted((left, right) => getNumber(left) - getNumber(right));
  expect(heard()).toEqual([...inOrder, "e"]);
  expect(await waiting()).toBe(0);

  function getNumber(text: string): number {
    return posted[["a", "b", "c", "d"].indexOf(text)]?.n ?? 0;
  }
});

test("two concurrent deliverers post a message once", async () => {
  const { world, made, say, heard } = await chatWorld();
  await say("once");
  const message = { look: keyText(inboxKey(made.uid)) };

  await Promise.all([reconcile(world.ctx, message), reconcile(world.ctx, message), reconcile(world.ctx, message)]);
  await world.advance(120_000);

  expect(heard()).toEqual(["once"]);
});

test("only the claiming worker posts, and if it dies the message is posted again", async () => {
  const { world, alice, made, say, heard, waiting } = await chatWorld();
  world.compute.answerPosts(made.uid, () => new Promise(() => undefined));
  await say("slow");
  const died = reconcile(world.ctx, { look: keyText(inboxKey(made.uid)) });
  await new Promise((resolve) => setImmediate(resolve));
  world.compute.answerPosts(made.uid, () => ({ status: 200, body: '{"reply":"at last"}' }));

  await world.advance(30_000);
  const whileClaimed = heard();
  // End of the claim, 30 s until the sweep finds it overdue, and the sweep's minute.
  await world.advance(120_000);

  expect(whileClaimed).toEqual(["slow"]);
  expect(heard()).toEqual(["slow", "slow"]);
  expect(await readMessage(alice, made.uid, 1)).toEqual({
    state: "delivered",
    isAnswered: true,
    reply: { reply: "at last" },
  });
  expect(await waiting()).toBe(0);
  expect(died).toBeInstanceOf(Promise);
});

test("a post that begins as late as allowed has no competitor, even on a clock 17 s ahead", async () => {
  const { world, alice, made, heard } = await chatWorld();
  const deaf = { ...alice, queue: { ...alice.queue, send: async () => {} } };
  await postMessage(deaf, "talks", "once");
  const message = { look: keyText(inboxKey(made.uid)) };
  const { postToPort } = world.compute;
  const ahead = { ...world.clock, now: () => world.clock.now() + 17_000 };
  let isClaimed = false;
  const put: Table["put"] = async (item, options) => {
    await world.table.put(item, options);
    if (!isClaimed && keyText(item) === message.look) world.clock.advance(20_000);
    isClaimed ||= keyText(item) === message.look;
  };
  const slowPost: typeof postToPort = async (...input) => {
    world.clock.advance(5_000);
    await reconcile({ ...world.ctx, clock: ahead }, message);
    return postToPort(...input);
  };

  await reconcile(
    { ...world.ctx, table: { ...world.table, put }, compute: { ...world.compute, postToPort: slowPost } },
    message,
  );

  expect([isClaimed, heard()]).toEqual([true, ["once"]]);
});

test("a message without an answer is retried with growing pauses, and later messages wait", async () => {
  const { world, made, say, heard, waiting } = await chatWorld();
  world.compute.answerPosts(made.uid, () => {
    throw new Error("connect ECONNREFUSED");
  });
  await say("first");
  await say("second");

  await world.advance(60_000);
  const names = heard();
  const { attempts, fault, claim } = await anInbox(world, made.uid);
  world.compute.answerPosts(made.uid, () => ({ status: 204, body: "" }));
  await world.advance(120_000);

  expect(names.length).toBeGreaterThan(3);
  expect(names.length).toBeLessThan(8);
  expect(new Set(names)).toEqual(new Set(["first"]));
  expect({ attempts, fault, claim }).toEqual({
    attempts: names.length,
    fault: "Error: connect ECONNREFUSED",
    claim: null,
  });
  expect(heard().slice(names.length)).toEqual(["first", "second"]);
  expect(await waiting()).toBe(0);
});

test.each([
  ["an error", { status: 500, body: '{"reply":"no"}' }, null],
  ["text that is not JSON", { status: 200, body: "<html>" }, null],
  ["nothing", { status: 200, body: "" }, null],
  ["JSON that is too long to store", { status: 200, body: JSON.stringify("x".repeat(256 * 1024)) }, null],
  ["JSON that is too long once it is escaped in an item", { status: 200, body: `[${'"",'.repeat(80_000)}0]` }, null],
  ["JSON that is too long in bytes", { status: 200, body: JSON.stringify("\u20ac".repeat(150_000)) }, null],
  ["JSON that is longer once Berth serializes it", { status: 200, body: `[${"1e20,".repeat(50_000)}0]` }, null],
  ["JSON that is not an object", { status: 201, body: " [1, null]\n" }, [1, null]],
])("a receiver that answers %s has received the message", async (_, answer, reply) => {
  const { world, alice, made, say, heard } = await chatWorld();
  world.compute.answerPosts(made.uid, () => answer);

  await say("hello");
  await world.advance(5_000);

  expect(await readMessage(alice, made.uid, 1)).toEqual({ state: "delivered", isAnswered: reply !== null, reply });
  expect(heard()).toEqual(["hello"]);
});

test("64 KiB of any characters arrive complete", async () => {
  const { world, say, heard } = await chatWorld();
  const texts = ["x".repeat(65_536), "\u0000".repeat(65_536), 'ä😀\n"\\'.repeat(6_000)];

  for (const text of texts) await say(text);
  await world.advance(5_000);

  expect(heard()).toEqual(texts);
});

test("a message waits until its environment is active", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), delays: { imageMs: 20_000 } });
  const alice = world.as("alice");
  const made = await createEnvironment(alice, { ...newEnvironment("talks", { gpus: 1 }), ports });

  await postMessage(alice, "talks", "early");
  await world.advance(10_000);
  const before = await countWaiting(alice, made);
  await world.advance(20_000);

  expect(before).toBe(1);
  expect(heardBy(world, made.uid)).toEqual(["early"]);
});

test("a message wakes a stopped environment, and all waiting messages arrive in order", async () => {
  const fixture = await chatWorld();
  const { world, made, say, heard, waiting } = fixture;
  await sleep(fixture);
  const asleep = (await world.read("alice", "talks")).phase;

  await say("one");
  await say("two");
  const kept = await waiting();
  await world.advance(30_000);

  expect(asleep).toBe("stopped");
  expect(kept).toBe(2);
  expect((await world.read("alice", "talks")).phase).toBe("active");
  expect(heard()).toEqual(["one", "two"]);
  expect(world.compute.posts(made.uid).map(({ run }) => run)).toEqual([2, 2]);
});

test("a message arrives after the wake-up even if its inbox is reconciled before", async () => {
  const fixture = await chatWorld();
  const { world, alice, made, heard } = fixture;
  await sleep(fixture);
  const asleepBefore = await world.table.get(made);
  await requestStart(alice, "talks");
  await world.advance(10_000);
  await sleep(fixture);
  let isRead = false;
  let isKept = false;
  const table = {
    ...world.table,
    // A slow handler knows the run before the last one.
    async get(key: Key) {
      const isFirst = !isRead && keyText(key) === keyText(made);
      isRead ||= isFirst;
      return isFirst ? asleepBefore : world.table.get(key);
    },
    async put(item: Stored, options?: { ifWriter?: string | null }) {
      await world.table.put(item, options);
      const isInbox = !isKept && keyText(item) === keyText(inboxKey(made.uid));
      isKept ||= isInbox;
      if (isInbox) await reconcile(world.ctx, { look: keyText(item) });
    },
  };

  await postMessage({ ...alice, table }, "talks", "late");
  await world.advance(30_000);

  expect([isRead, isKept]).toEqual([true, true]);
  expect(heard()).toEqual(["late"]);
});

describe("a late wake", () => {
  const doers = {
    "the handler's": ({ alice }: Fixture, table: Table) => postMessage({ ...alice, table }, "talks", "hello"),
    "the inbox's": async ({ world, alice, made }: Fixture, table: Table) => {
      const dying = { ...alice, table: { ...alice.table, put: failsFor(world, "#env#") } };
      await expect(postMessage(dying, "talks", "hello")).rejects.toThrow("died");
      await reconcile({ ...world.ctx, table }, { look: keyText(inboxKey(made.uid)) });
    },
  };

  test.each(Object.entries(doers))(
    "%s, does not start an environment that its owner has stopped since",
    async (_, wake) => {
      const fixture = await chatWorld();
      const { world, alice, heard } = fixture;
      await sleep(fixture);

      await wake(
        fixture,
        beforeSecondRead(fixture, async () => {
          await requestStart(alice, "talks");
          await world.advance(30_000);
          await sleep(fixture);
        }),
      );
      await world.advance(3_600_000);

      expect(heard()).toEqual(["hello"]);
      expect(await world.read("alice", "talks")).toMatchObject({ phase: "stopped", run: { n: 2 } });
    },
  );

  test.each(Object.entries(doers))(
    "%s, does not start an environment for a message that was dropped since",
    async (_, wake) => {
      const fixture = await chatWorld();
      const { world, heard } = fixture;
      await sleep(fixture);

      await wake(
        fixture,
        beforeSecondRead(fixture, () => sleep(fixture)),
      );
      await world.advance(3_600_000);

      expect(heard()).toEqual([]);
      expect(await world.read("alice", "talks")).toMatchObject({ phase: "stopped", run: { n: 1 } });
    },
  );

  test.each(Object.entries(doers))("%s, does not start a new environment under its id", async (_, wake) => {
    const fixture = await chatWorld();
    const { world, alice } = fixture;
    await sleep(fixture);

    await wake(
      fixture,
      beforeSecondRead(fixture, async () => {
        await requestDelete(alice, "talks");
        await world.advance(60_000);
        await createEnvironment(alice, { ...newEnvironment("talks", { gpus: 1 }), policy, ports });
        await world.advance(10_000);
        await requestStop(alice, "talks");
        await world.advance(10_000);
      }),
    );
    await world.advance(3_600_000);

    expect(await world.read("alice", "talks")).toMatchObject({ phase: "stopped", run: { n: 1 } });
  });

  /** Runs `happens` after the read that decides to wake the environment, before the read that starts it. */
  function beforeSecondRead({ world, made }: Fixture, happens: () => Promise<unknown>): Table {
    let reads = 0;
    return {
      ...world.table,
      async get(key: Key) {
        if (keyText(key) === keyText(made) && ++reads === 2) await happens();
        return world.table.get(key);
      },
    };
  }
});

test("the inbox wakes the environment if the handler dies after storing the message", async () => {
  const fixture = await chatWorld();
  const { world, alice, heard } = fixture;
  await sleep(fixture);
  const dying = { ...alice, table: { ...alice.table, put: failsFor(world, "#env#") } };

  const answered = postMessage(dying, "talks", "left behind");

  await expect(answered).rejects.toThrow("died");
  await world.advance(30_000);
  expect(heard()).toEqual(["left behind"]);
});

test("an environment that cannot start is woken only once per message", async () => {
  const fixture = await chatWorld();
  const { world, made, say, waiting, heard } = fixture;
  await sleep(fixture);
  world.compute.program(made.uid, { kind: "imageFails", reason: "Image not found" });

  await say("anybody there?");
  await world.advance(3_600_000);

  const {
    run: { n: run, error: broken },
    phase,
  } = await world.read("alice", "talks");
  expect({ run, phase, broken }).toEqual({ run: 2, phase: "stopped", broken: "Image not found" });
  expect([await waiting(), heard()]).toEqual([1, []]);
});

test("a stop drops waiting messages and removes their text", async () => {
  const fixture = await chatWorld();
  const { world, alice, made, say, waiting, heard } = fixture;
  world.compute.answerPosts(made.uid, () => {
    throw new Error("not now");
  });
  const texts = Array.from({ length: 30 }, (_, n) => `secret ${n}`);
  for (const text of texts) await say(text);
  await world.advance(1_000);

  await sleep(fixture);
  const dropped = await waiting();
  world.compute.answerPosts(made.uid, () => ({ status: 200, body: "{}" }));
  await requestStart(alice, "talks");
  await world.advance(120_000);

  expect(dropped).toBe(0);
  expect((await world.read("alice", "talks")).phase).toBe("active");
  expect(new Set(heard())).toEqual(new Set(["secret 0"]));
  expect(await readMessage(alice, made.uid, 30)).toEqual({ state: "dropped", isAnswered: false, reply: null });
  expect(JSON.stringify(world.table.all())).not.toContain("secret");
  expect(await say("after")).toEqual({ uid: made.uid, n: 31 });
});

test("a stopped environment stays stopped after messages were dropped", async () => {
  const fixture = await chatWorld();
  const { world, made, say } = fixture;
  world.compute.answerPosts(made.uid, () => {
    throw new Error("not now");
  });
  await say("hello");

  await sleep(fixture);
  await world.advance(3_600_000);

  expect(await world.read("alice", "talks")).toMatchObject({
    phase: "stopped",
    goal: { desired: "stopped" },
    run: { n: 1 },
  });
});

test("a deletion removes all messages", async () => {
  const fixture = await chatWorld();
  const { world, alice, made, say } = fixture;
  for (let n = 0; n < 30; n++) await say(`told ${n}`);
  await world.advance(30_000);
  world.compute.answerPosts(made.uid, () => {
    throw new Error("not now");
  });
  await say("untold");

  await requestDelete(alice, "talks");
  await world.advance(24 * 3_600_000);

  const kept = world.table.all().filter(({ pk }) => pk === `chat#${made.uid}`);
  const { dueAt, ttl } = await anInbox(world, made.uid);
  expect({ kept, dueAt, isLeft: ttl === undefined }).toEqual({ kept: [], dueAt: undefined, isLeft: false });
});

test("a deleted environment, or one without an HTTP port, accepts no messages", async () => {
  const fixture = await chatWorld();
  const mute = await chatWorld({ ports: [] });

  await requestDelete(fixture.alice, "talks");

  await expect(fixture.say("hello")).rejects.toMatchObject({ kind: "notFound" });
  await expect(mute.say("hello")).rejects.toMatchObject({ kind: "conflict" });
  await expect(postMessage(fixture.world.as("bob"), "talks", "hello")).rejects.toMatchObject({ kind: "notFound" });
});

/** A table whose puts fail for keys with this text. */
function failsFor({ table }: MemoryWorld, part: string): MemoryWorld["table"]["put"] {
  return async (item, options) => {
    if (item.pk.includes(part)) throw new Error("died");
    await table.put(item, options);
  };
}

test("an unreadable newest message blocks no post and counts as waiting", async () => {
  const { world, made, say, waiting } = await chatWorld();
  await say("a");
  await world.advance(5_000);
  await world.table.put({ ...chatKey(made.uid, 2), writers: ["hand"], kind: "message", n: "two" } as Stored);

  const posted = await say("b");

  expect(posted.n).toBe(3);
  expect(await waiting()).toBe(2);
});

test("an unreadable message is skipped with an alarm, and later ones are delivered", async () => {
  const { world, made, say, heard, waiting } = await chatWorld();
  const { lines, ...log } = recordingLog();
  Object.assign(world.ctx.log, log);
  await spoil(world, made.uid, 1);

  await say("after it");
  await world.advance(5_000);

  expect([heard(), await waiting()]).toEqual([["after it"], 0]);
  const alarms = lines.filter(({ level }) => level === "error");
  expect(alarms).toMatchObject([{ event: "poisoned record", fields: { look: keyText(chatKey(made.uid, 1)) } }]);
});

test("a stop drops messages after an unreadable one", async () => {
  const fixture = await chatWorld();
  const { world, made, say, waiting } = fixture;
  world.compute.answerPosts(made.uid, () => {
    throw new Error("not now");
  });
  await say("before it");
  await spoil(world, made.uid, 2);
  const { n } = await say("after it");

  await sleep(fixture);

  expect(await waiting()).toBe(0);
  expect(await readMessage(fixture.alice, made.uid, n)).toEqual({ state: "dropped", isAnswered: false, reply: null });
});

test("settled messages that expired before the inbox noted them delay nothing", async () => {
  const { world, alice, made, say, heard } = await chatWorld();
  const deaf = { ...alice, queue: { ...alice.queue, send: async () => {} } };
  for (const text of ["one", "two", "three"]) await postMessage(deaf, "talks", text);
  for (const n of [1, 2]) {
    const { writers } = (await world.table.get(chatKey(made.uid, n))) ?? { writers: [] };
    await world.table.remove(chatKey(made.uid, n), { ifWriter: String(writers[0]) });
  }

  await say("four");
  await world.advance(5_000);

  expect(heard()).toEqual(["three", "four"]);
});

test("a message that is written while the inbox searches for it is not skipped", async () => {
  const { world, alice, made, heard } = await chatWorld();
  // Their handlers die before they notify the inbox.
  const dying = { ...alice, table: { ...alice.table, put: failsFor(world, "inbox#") } };
  await postMessage(alice, "talks", "first");
  await world.advance(5_000);
  let input = 0;
  const get: MemoryWorld["table"]["get"] = async (key) => {
    const found = await world.table.get(key);
    const isNext = keyText(key) === keyText(chatKey(made.uid, 2)) && input++ === 0;
    for (const text of isNext ? ["second", "third"] : []) await postMessage(dying, "talks", text).catch(() => {});
    return found;
  };

  world.clock.advance(120_000);
  await reconcile({ ...world.ctx, table: { ...world.table, get } }, { look: keyText(inboxKey(made.uid)) });
  await world.advance(120_000);

  expect(heard()).toEqual(["first", "second", "third"]);
});

test("a message of a newer version waits for a newer worker, and later ones wait with it", async () => {
  const { world, made, say, heard } = await chatWorld();
  await spoil(world, made.uid, 1, { format: 2 });

  await say("after it");
  await world.advance(60_000);

  expect(heard()).toEqual([]);
});

/** Writes an unreadable message with this number. */
async function spoil({ table }: MemoryWorld, uid: string, n: number, how: object = {}): Promise<void> {
  await table.put({ ...chatKey(uid, n), writers: ["hand"], kind: "message", uid, n: "one", ...how } as Stored);
}

test("a message that cannot be unsealed is skipped, and later ones arrive", async () => {
  const { world, alice, made, say } = await chatWorld();
  world.compute.answerPosts(made.uid, () => {
    throw new Error("not now");
  });
  await say("spoilt");
  const message = await findMessage(alice, made.uid, 1);
  if (!message) throw new Error("No message");
  await world.table.put({ ...message, writers: ["hand"], text: "hello" } as never);
  await say("whole");
  world.compute.answerPosts(made.uid, () => ({ status: 200, body: "{}" }));

  await world.advance(3 * 60_000);

  const states = await Promise.all([1, 2].map(async (n) => (await readMessage(alice, made.uid, n))?.state));
  expect(states).toEqual(["dropped", "delivered"]);
});

test("a reply that cannot be unsealed is shown as no reply", async () => {
  const { world, alice, made, say } = await chatWorld();
  await say("hello");
  await world.advance(10_000);
  const message = await findMessage(alice, made.uid, 1);
  if (!message) throw new Error("No message");
  await world.table.put({ ...message, writers: ["hand"], reply: message.reply?.replace(/^./, "x") } as never);

  expect(await readMessage(alice, made.uid, 1)).toEqual({ state: "delivered", isAnswered: false, reply: null });
});
