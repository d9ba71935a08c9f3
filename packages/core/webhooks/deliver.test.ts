import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import {
  type MemoryWorld,
  memoryWorld,
  newActor,
  newEnvironment,
  type WorldOptions,
} from "#tests/worlds/memory-world.ts";
import type { FetchAnswer } from "../ports/fetch.ts";
import { AddressRefused, NoAnswer } from "../problem.ts";
import { deliveriesPartition, keyText, ownersReceiversKey } from "../store/keys.ts";
import { checkCircuit, receiverStateKey, tellAnswered, tellFailed } from "./circuit.ts";
import { deliver } from "./deliver.ts";
import { parseDelivery } from "./delivery.ts";
import { requestResend } from "./requests.ts";
import { chargeReceiverTime, reserveReceiverTime } from "./share.ts";

const url = "https://hooks.example/berth?token=secret-of-the-receiver";
const [SECOND, MINUTE, HOUR] = [1_000, 60_000, 3_600_000];
const ok: FetchAnswer = { status: 200, retryAfterMs: null };
const broken: FetchAnswer = { status: 500, retryAfterMs: null };

/** A world that reports only one event: an environment is active. */
async function oneEvent(how: () => FetchAnswer | Error, options: WorldOptions = {}) {
  const bodyOf: WorldOptions["bodyOf"] = ({ entry }) => (entry.phase === "active" ? { n: entry.n } : undefined);
  const world = await memoryWorld({ bodyOf, ...options });
  world.fetch.answer(url, how);
  const times: number[] = [];
  const post = world.fetch.post;
  Object.assign(world.ctx.fetch, {
    post: async (request: Parameters<typeof post>[0]) => {
      times.push(world.clock.now());
      return post(request);
    },
  });
  await createEnvironment(world.as("alice"), { ...newEnvironment("a", { hours: 48 }), receiver: url });
  await world.advance(5 * SECOND);
  return { ...world, times, delivery: () => onlyDelivery(world) };
}

async function onlyDelivery(world: MemoryWorld) {
  const { items } = await world.table.query({ pk: deliveriesPartition(newActor("alice").uid) });
  const [first, second] = items.map(parseDelivery);
  if (!first || second) throw new Error(`There are ${items.length} deliveries`);
  return first;
}

function gaps(times: readonly number[]): number[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? 0));
}

describe("the schedule of attempts", () => {
  test("a delivered event is posted once, kept for seven days, and removed with its receiver", async () => {
    const world = await oneEvent(() => ok);

    const delivery = await world.delivery();
    const { length: posted } = world.fetch.posts;
    await world.advance(7 * 24 * HOUR + HOUR);

    expect(posted).toBe(1);
    expect(delivery).toMatchObject({ state: "delivered", attemptCount: 1 });
    expect(delivery.attempts).toEqual([{ n: 1, at: delivery.endedAt, status: 200, error: null }]);
    expect(delivery.ttl).toBe(Math.floor(Number(delivery.endedAt) / 1000) + 7 * 24 * 3600);
    expect(await world.ctx.table.get(delivery)).toBeUndefined();
  });

  test("a receiver that only fails is tried eight times, at the documented moments, with the same id and bytes", async () => {
    const world = await oneEvent(() => broken);

    // Advance by the hour, because larger spans deliver messages in larger steps.
    for (let hour = 0; hour < 20; hour++) await world.advance(HOUR);

    const delivery = await world.delivery();
    expect(delivery).toMatchObject({ state: "given_up", attemptCount: 8 });
    const expected = [1 * SECOND, 2 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR];
    expect(gaps(world.times)).toEqual(expected);
    expect(new Set(world.fetch.posts.map(({ body }) => body)).size).toBe(1);
    expect(new Set(world.fetch.posts.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect(new Set(world.fetch.posts.map(({ headers }) => headers["webhook-timestamp"])).size).toBe(8);
  });

  test.each([
    ["503", { status: 503, retryAfterMs: null }, 3],
    ["408", { status: 408, retryAfterMs: null }, 3],
    ["429", { status: 429, retryAfterMs: null }, 3],
    ["no answer", new NoAnswer("connection refused"), 3],
    ["301", { status: 301, retryAfterMs: null }, 1],
    ["404", { status: 404, retryAfterMs: null }, 1],
    ["an address that is private by now", new AddressRefused(), 1],
  ])("a post that ends with %s is retried or given up as documented", async (_, answer, times) => {
    const world = await oneEvent(() => answer);

    await world.advance(MINUTE);

    expect(world.times).toHaveLength(times);
    expect((await world.delivery()).state).toBe(times === 1 ? "given_up" : "waiting");
  });

  test.each([
    [30 * SECOND, 30 * SECOND],
    [5 * HOUR, HOUR],
  ])("a Retry-After of %d ms is obeyed for at most an hour", async (retryAfterMs, gap) => {
    const answers: FetchAnswer[] = [{ status: 429, retryAfterMs }];
    const world = await oneEvent(() => answers.shift() ?? ok);

    await world.advance(2 * HOUR);

    expect(gaps(world.times)).toEqual([gap]);
    expect((await world.delivery()).state).toBe("delivered");
  });

  test("failures are recorded with a message that contains no address", async () => {
    const answers = [new NoAnswer("timed out"), new Error(`refused by ${url}`), broken];
    const world = await oneEvent(() => answers.shift() ?? ok);

    await world.advance(10 * MINUTE);

    const { attempts } = await world.delivery();
    expect(attempts.map(({ status, error }) => status ?? error)).toEqual(["timed out", "network error", 500, 200]);
  });
});

describe("a post is claimed before it is made", () => {
  test("two simultaneous reconciles post once", async () => {
    const world = await oneEvent(() => broken);
    await world.advance(30 * SECOND);
    const before = world.times.length;
    const delivery = await world.delivery();
    world.clock.advance(Number(delivery.dueAt) - world.clock.now());

    const poll = () => deliver(world.ctx, { look: keyText(delivery) }, () => ({}));
    await Promise.all([poll(), poll(), poll()]);

    expect(world.times.length - before).toBe(1);
  });

  test("an attempt whose worker died counts as one, and the next comes when its claim is over", async () => {
    const answers = [broken];
    const world = await oneEvent(() => answers.shift() ?? ok);
    const delivery = await world.delivery();
    const until = world.clock.now() + 30 * SECOND;
    const claim = { attempt: 3, at: world.clock.now(), until };
    await world.table.put({
      ...delivery,
      version: 50,
      state: "waiting",
      claim,
      attemptCount: 3,
      tries: 2,
      dueAt: until,
    } as never);
    const before = world.times.length;

    await world.advance(29 * SECOND);
    const meanwhile = world.times.length;
    await world.advance(10 * MINUTE);

    expect(meanwhile).toBe(before);
    expect(world.times).toHaveLength(before + 1);
    const { attempts, state } = await world.delivery();
    expect(attempts.slice(-2).map(({ n, error, status }) => [n, error ?? status])).toEqual([
      [3, "interrupted"],
      [4, 200],
    ]);
    expect(state).toBe("delivered");
  });

  test("a worker that was paused after its claim does not post", async () => {
    const world = await oneEvent(() => broken);
    await world.advance(30 * SECOND);
    const delivery = await world.delivery();
    world.clock.advance(Number(delivery.dueAt) - world.clock.now());
    const before = world.times.length;
    const table = {
      ...world.ctx.table,
      put: async (...input: Parameters<typeof world.table.put>) => {
        await world.table.put(...input);
        world.clock.advance(25 * SECOND);
      },
    };

    await deliver({ ...world.ctx, table }, { look: keyText(delivery) }, () => ({}));

    expect(world.times).toHaveLength(before);
    expect((await world.delivery()).claim).not.toBeNull();
  });
});

/** A clock that is ahead by the maximum skew of two hosts. */
const ahead = ({ clock }: MemoryWorld) => ({ ...clock, now: () => clock.now() + 17 * SECOND });

test("a post that begins as late as allowed has no competitor, even on a clock 17 s ahead", async () => {
  const world = await oneEvent(() => broken);
  world.clock.advance(6 * MINUTE);
  const delivery = await world.delivery();
  const message = { look: keyText(delivery) };
  const before = world.times.length;
  const { post } = world.ctx.fetch;
  const put: typeof world.table.put = async (item, options) => {
    await world.table.put(item, options);
    if (keyText(item) === message.look && world.times.length === before) world.clock.advance(12 * SECOND);
  };
  const slowPost: typeof post = async (request) => {
    world.clock.advance(10 * SECOND - 1);
    await deliver({ ...world.ctx, clock: ahead(world) }, message, () => ({}));
    return post(request);
  };

  await deliver(
    { ...world.ctx, table: { ...world.table, put }, fetch: { ...world.ctx.fetch, post: slowPost } },
    message,
    () => ({}),
  );

  expect(world.times).toHaveLength(before + 1);
  expect((await world.delivery()).attempts.map(({ error }) => error)).not.toContain("interrupted");
});

describe("a receiver that fails", () => {
  test("is not called after many failures, while another receiver gets its events at once", async () => {
    const bad = "https://down.example/";
    const world = await memoryWorld({ bodyOf: ({ entry }) => ({ n: entry.n }) });
    world.fetch.answer(bad, () => broken);
    for (let n = 0; n < 12; n++) {
      const job = newEnvironment(`bad-${n}`, { gpus: 1 });
      await createEnvironment(world.as("alice"), { ...job, receiver: bad });
    }
    await world.advance(30 * SECOND);
    const dialled = () => world.fetch.posts.filter((post) => post.url === bad).length;
    const before = dialled();

    await createEnvironment(world.as("alice"), { ...newEnvironment("late", { gpus: 1 }), receiver: bad });
    await createEnvironment(world.as("alice"), { ...newEnvironment("good", { gpus: 1 }), receiver: url });
    await world.advance(20 * SECOND);

    expect(dialled()).toBe(before);
    expect(world.fetch.posts.some((post) => post.url === url)).toBe(true);
  });

  test("is probed by one delivery after the open time, and gets everything once it answers", async () => {
    const answer = { how: broken };
    const world = await memoryWorld({ bodyOf: ({ entry }) => ({ n: entry.n }) });
    world.fetch.answer(url, () => answer.how);
    for (let n = 0; n < 12; n++) {
      await createEnvironment(world.as("alice"), { ...newEnvironment(`job-${n}`, { gpus: 1 }), receiver: url });
    }
    await world.advance(MINUTE);
    const before = world.fetch.posts.length;
    await world.advance(3 * MINUTE);
    const probes = world.fetch.posts.length - before;

    answer.how = ok;
    await world.advance(HOUR);

    expect(probes).toBe(1);
    const { items } = await world.table.query({ pk: deliveriesPartition(newActor("alice").uid) });
    expect(items.length).toBeGreaterThan(24);
    expect(items.map(parseDelivery).filter(({ state }) => state !== "delivered")).toEqual([]);
  });

  test("changes nothing about the environment", async () => {
    const failing = await oneEvent(() => new NoAnswer("timed out"));
    const taking = await oneEvent(() => ok);

    await Promise.all([failing.advance(HOUR), taking.advance(HOUR)]);

    const [first, second] = await Promise.all([failing.read("alice", "a"), taking.read("alice", "a")]);
    expect(first.phase).toBe("active");
    expect(first.events.timeline).toEqual(second.events.timeline);
    expect(first.events.emitted).toBe(first.events.count);
  });

  test("is given up after a day, although it was hardly called", async () => {
    const world = await oneEvent(() => broken);
    const delivery = await world.delivery();
    await world.table.put({ ...delivery, seriesAt: delivery.seriesAt - 25 * HOUR } as never);

    await world.advance(5 * MINUTE);

    expect((await world.delivery()).state).toBe("given_up");
  });
});

describe("slow receivers of one owner", () => {
  const slowly = (world: MemoryWorld, answer: FetchAnswer | Error) => () => {
    world.clock.advance(9_500);
    return answer;
  };

  test.each([
    ["a receiver that accepts everything after 9.5 s", () => "https://slow.example/", ok],
    [
      "a separate host name for each environment, none of which answers",
      (n: number) => `https://h${n}.example/`,
      new Error(),
    ],
  ])("use at most the owner's share of workers, and further posts wait: %s", async (_, formatUrl, answer) => {
    const world = await memoryWorld({ bodyOf: ({ entry }) => ({ n: entry.n }) });
    for (let n = 0; n < 20; n++) {
      world.fetch.answer(formatUrl(n), slowly(world, answer));
      await createEnvironment(world.as("mallory"), {
        ...newEnvironment(`job-${n}`, { gpus: 1 }),
        receiver: formatUrl(n),
      });
    }
    await world.advance(MINUTE);
    const before = world.fetch.posts.length;
    await createEnvironment(world.as("alice"), { ...newEnvironment("good", { gpus: 1 }), receiver: url });
    await world.advance(20 * SECOND);

    expect(before).toBeLessThan(15);
    expect(world.fetch.posts.some((post) => post.url === url)).toBe(true);
  });

  test("all get their events eventually", async () => {
    const world = await memoryWorld({ bodyOf: ({ entry }) => (entry.phase === "active" ? { n: entry.n } : undefined) });
    world.fetch.answer(url, slowly(world, ok));
    for (let n = 0; n < 20; n++) {
      await createEnvironment(world.as("alice"), { ...newEnvironment(`job-${n}`, { gpus: 1 }), receiver: url });
    }

    await world.advance(HOUR);

    const { items } = await world.table.query({ pk: deliveriesPartition(newActor("alice").uid) });
    expect(items.length).toBeGreaterThan(10);
    expect(items.map(parseDelivery).filter(({ state }) => state !== "delivered")).toEqual([]);
  });
});

describe("resend", () => {
  test("sends a given-up delivery again, in a new series with the same id and bytes", async () => {
    const answers: FetchAnswer[] = [{ status: 404, retryAfterMs: null }, broken, broken];
    const world = await oneEvent(() => answers.shift() ?? ok);
    const first = await world.delivery();

    await requestResend(world.as("alice"), String(world.fetch.posts[0]?.headers["webhook-id"]));
    await world.advance(10 * SECOND);

    expect(first.state).toBe("given_up");
    expect(await world.delivery()).toMatchObject({ state: "delivered", attemptCount: 4, tries: 3 });
    expect(new Set(world.fetch.posts.map(({ body }) => body)).size).toBe(1);
    expect(new Set(world.fetch.posts.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  });

  test("under one token is one series, however many attempts it took", async () => {
    const answers: FetchAnswer[] = [ok, ...Array<FetchAnswer>(6).fill(broken)];
    const world = await oneEvent(() => answers.shift() ?? ok);
    const id = String(world.fetch.posts[0]?.headers["webhook-id"]);
    const token = world.ctx.ids.uid();
    await requestResend(world.as("alice"), id, token);
    await world.advance(20 * HOUR);
    const delivered = await world.delivery();

    await requestResend(world.as("alice"), id, token);
    await world.advance(MINUTE);

    expect(delivered).toMatchObject({ state: "delivered", tries: 7, attemptCount: 8 });
    expect(await world.delivery()).toMatchObject({ state: "delivered", attemptCount: 8 });
  });

  test("is refused for another owner", async () => {
    const world = await oneEvent(() => ok);
    const id = String(world.fetch.posts[0]?.headers["webhook-id"]);

    await expect(requestResend(world.as("mallory"), id)).rejects.toThrow(`Delivery ${id} not found`);
    await expect(requestResend(world.as("alice"), "evt_1_2_3")).rejects.toThrow("not found");
  });
});

describe("secrets", () => {
  test("neither the address nor the body is stored or logged in clear", async () => {
    const world = await oneEvent(() => broken, { bodyOf: () => ({ jupyter: "token-in-the-body" }) });

    const stored = JSON.stringify(world.table.all());

    expect(stored).not.toContain("secret-of-the-receiver");
    expect(stored).not.toContain("token-in-the-body");
    expect(world.fetch.posts[0]?.body).toContain("token-in-the-body");
  });

  test.each([
    ["a-plain-secret", Buffer.from("a-plain-secret")],
    [`whsec_${Buffer.alloc(24, "k").toString("base64")}`, Buffer.alloc(24, "k")],
  ])("the three signatures fit another implementation of them (%s)", async (webhookSecret, key) => {
    const world = await oneEvent(() => ok, { settings: { webhookSecret } });

    const [post] = world.fetch.posts;
    if (!post) throw new Error("Nothing was posted");
    const { headers, body } = post;

    const plain = `sha256=${createHmac("sha256", webhookSecret).update(body).digest("hex")}`;
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    expect(headers["X-Signature-SHA256"]).toBe(plain);
    expect(headers["X-Webhook-Signature"]).toBe(plain);
    expect(headers["webhook-signature"]).toBe(`v1,${createHmac("sha256", key).update(signed).digest("base64")}`);
  });

  test("a delivery without a secret is unsigned, but has an id and a timestamp", async () => {
    const world = await oneEvent(() => ok);

    const { headers = {} } = world.fetch.posts[0] ?? {};

    expect(Object.keys(headers)).toEqual(["Content-Type", "User-Agent", "webhook-id", "webhook-timestamp"]);
    expect(headers["webhook-timestamp"]).toMatch(/^\d{10}$/);
  });
});

test("a post with a paused worker is charged as its timeout", async () => {
  const world = await oneEvent(() => broken);
  const { owner } = await world.delivery();
  const { post } = world.ctx.fetch;
  const sleeping: typeof post = async (request) => {
    world.clock.advance(10 * MINUTE);
    return post(request);
  };
  world.clock.advance(6 * MINUTE);

  const recordKey = keyText(await world.delivery());
  await deliver({ ...world.ctx, fetch: { ...world.ctx.fetch, post: sleeping } }, { look: recordKey }, () => ({}));

  expect((await world.delivery()).attemptCount).toBe(4);
  expect(await reserveReceiverTime(world.ctx, owner, world.clock.now())).toMatchObject({
    may: "dial",
    reservedMs: 10_000,
  });
});

test.each([
  ["an answer", ok, 20],
  ["a failure", broken, 0],
])("%s before its worker was paused does not change the circuit", async (_, answer, failures) => {
  const world = await oneEvent(() => broken);
  world.clock.advance(6 * MINUTE);
  const delivery = await world.delivery();
  const receiver = receiverStateKey(world.ctx, delivery.owner, url);
  await tellAnswered(world.ctx, receiver, world.clock.now());
  const post = async () => {
    world.clock.advance(10 * MINUTE);
    const quick = { tookMs: 10, wasProbe: false };
    for (let n = 0; n < failures; n++) await tellFailed(world.ctx, receiver, quick, world.clock.now());
    return answer;
  };

  await deliver({ ...world.ctx, fetch: { ...world.ctx.fetch, post } }, { look: keyText(delivery) }, () => ({}));

  const state = await world.table.get(receiver);
  expect(state?.failures ?? 0).toBe(failures);
});

describe("an open circuit of an owner with slow receivers", () => {
  /** Makes the delivery due again with this charge on the share. */
  async function dueAgain(heldMs: number) {
    const world = await oneEvent(() => broken);
    const { owner } = await world.delivery();
    const receiver = receiverStateKey(world.ctx, owner, url);
    const fail = async () => {
      const quick = { tookMs: 10, wasProbe: false };
      for (let n = 0; n < 20; n++) await tellFailed(world.ctx, receiver, quick, world.clock.now());
    };
    const poll = async () => deliver(world.ctx, { look: keyText(await world.delivery()) }, () => ({}));
    const wait = async () => {
      world.clock.advance(6 * MINUTE);
      await chargeReceiverTime(world.ctx, owner, { reservedMs: 0, tookMs: heldMs }, world.clock.now());
    };
    return { world, owner, receiver, fail, look: poll, wait };
  }

  test("is probed by other deliveries while this one waits for its owner's share", async () => {
    const { world, receiver, fail, look: poll, wait } = await dueAgain(100_000);
    await fail();
    await wait();

    await poll();

    expect((await world.delivery()).attemptCount).toBe(3);
    expect(await checkCircuit(world.ctx, receiver, world.clock.now())).toMatchObject({ may: "probe" });
  });

  test("delays no other receiver of its owner", async () => {
    const { world, owner, receiver, fail, wait } = await dueAgain(30_000);
    await wait();
    await fail();
    const { ctx } = world;
    const others: unknown[] = [];
    const get: typeof ctx.table.get = async (key) => {
      if (keyText(key) === keyText(receiver)) others.push(await reserveReceiverTime(ctx, owner, world.clock.now()));
      return ctx.table.get(key);
    };

    const written: string[] = [];
    const put: typeof ctx.table.put = async (item, options) => {
      written.push(keyText(item));
      await ctx.table.put(item, options);
    };

    const recordKey = keyText(await world.delivery());
    await deliver({ ...ctx, table: { ...ctx.table, get, put } }, { look: recordKey }, () => ({}));

    expect((await world.delivery()).attemptCount).toBe(3);
    expect(others).toMatchObject([{ may: "dial" }]);
    expect(written).not.toContain(keyText(ownersReceiversKey(owner)));
  });

  test("costs nothing of its owner's share, even if another delivery probes first", async () => {
    const { world, owner, receiver, fail, wait } = await dueAgain(20_000);
    await fail();
    await wait();
    const { ctx } = world;
    const put: typeof ctx.table.put = async (item, options) => {
      await ctx.table.put(item, options);
      const isShare = keyText(item) === keyText(ownersReceiversKey(owner));
      const verdict = isShare ? await checkCircuit(ctx, receiver, world.clock.now()) : undefined;
      if (verdict?.may === "probe") await verdict.claim();
    };

    const recordKey = keyText(await world.delivery());
    await deliver({ ...ctx, table: { ...ctx.table, put } }, { look: recordKey }, () => ({}));

    expect((await world.delivery()).attemptCount).toBe(3);
    expect(await ctx.table.get(ownersReceiversKey(owner))).toMatchObject({ heldMs: 20_000 });
  });
});
