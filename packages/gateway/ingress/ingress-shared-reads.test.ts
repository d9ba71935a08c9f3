import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { environmentKey } from "#core/store/keys.ts";
import { newActor } from "#tests/worlds/memory-world.ts";
import { type IngressFixture, openIngressFixture } from "./ingress-fixture.ts";
import { connectLocally } from "./page-connection.ts";

const [LABELS, EACH] = [["one", "two"], 10];

let fixture: IngressFixture;
let echoes: WebSocketServer;
let isAway: boolean;

beforeEach(async () => {
  [isAway, hung] = [false, undefined];
  const ways = { connect: connectLocally, isBoundToRun: true };
  fixture = await openIngressFixture({ checkMs: 1 }, ways, undefined, (table) => ({
    ...table,
    get: async (key) => {
      if (isAway) throw new Error("away");
      return hung !== undefined && key.sk.includes(hung) ? new Promise<never>(() => undefined) : table.get(key);
    },
  }));
  for (const label of LABELS) await fixture.environment(label);
  echoes = new WebSocketServer({ server: fixture.page });
  echoes.on("connection", (ws) => ws.on("message", (data) => ws.send(data)));
});
afterEach(async () => {
  echoes.close();
  await fixture.close();
});

/** Reads of this environment never answer. */
let hung: string | undefined;

const headers = () => ({ authorization: `Bearer ${fixture.key}` });
const get = (label: string) => fixture.ask(`${label}.preview.localhost`, { headers: headers() });
async function open(label: string, key = fixture.key): Promise<WebSocket> {
  const sent = { host: `${label}.preview.localhost`, authorization: `Bearer ${key}` };
  const ws = new WebSocket(`ws://127.0.0.1:${fixture.port}/`, { headers: sent });
  await once(
    ws.on("error", () => undefined),
    "open",
  );
  return ws;
}
/** Gives an environment the page that the first one has. */
async function givePage(label: string): Promise<void> {
  const read = (name: string) => fixture.world.table.get(environmentKey(newActor("alice").uid, "gpu-dev", name));
  const [item, other] = [await read(label), await read("one")];
  const run = { ...(item?.run as object), ...(other?.run as object) };
  await fixture.world.table.put({ ...item, run } as never);
}
const openMany = (label: string) => Promise.all(Array.from({ length: EACH }, () => open(label)));
const closed = (ws: WebSocket) =>
  ws.readyState === ws.CLOSED ? undefined : new Promise((resolve) => ws.once("close", resolve));
/** Resolves after the end of an environment has been seen, which takes reads by the next check. */
const pass = async (ended: readonly WebSocket[]) => {
  fixture.reads.length = 0;
  fixture.world.clock.advance(5_001);
  await Promise.all(ended.map(closed));
};

describe("WebSockets of pages", () => {
  it("share one read of each key, claim and environment in 5 s, and those of an ended one are closed", async () => {
    const [ended, others] = [await openMany("one"), await openMany("two")];
    await requestCancel(fixture.world.as("alice"), "one");

    await pass(ended);

    expect(others.map(({ readyState }) => readyState)).toEqual(Array(EACH).fill(WebSocket.OPEN));
    // The key, and the claim and the environment of both.
    expect(fixture.reads).toEqual(Array(1 + 2 * 2).fill("table.get"));
  });

  it("go on while the table is away, new ones get a reason, and all are checked once it is back", async () => {
    const [first] = await openMany("one");
    await requestCancel(fixture.world.as("alice"), "one");
    isAway = true;
    fixture.reads.length = 0;
    fixture.world.clock.advance(5_001);
    await expect.poll(() => fixture.reads.length).toBeGreaterThan(2);
    first?.send("still here");
    const [echo] = first ? await once(first, "message") : [];

    const page = await get("two");
    const refused = new WebSocket(`ws://127.0.0.1:${fixture.port}/`, {
      headers: { host: "two.preview.localhost", ...headers() },
    });
    const [, answer] = await once(
      refused.on("error", () => undefined),
      "unexpected-response",
    );
    isAway = false;
    if (first) await closed(first);

    expect([String(echo), page.status, answer.statusCode]).toEqual(["still here", 503, 503]);
    expect(page.body).toContain("Try again in a moment.");
  });
});

describe("the check of a WebSocket", () => {
  it("shares the read of a key that does not exist, which an open page admits", async () => {
    await fixture.environment("notebook", { hasLogin: true });
    await Promise.all(Array.from({ length: EACH }, () => open("notebook", "x".repeat(43))));
    fixture.reads.length = 0;

    fixture.world.clock.advance(501);
    await expect.poll(() => fixture.reads.length).toBe(1);
    fixture.world.clock.advance(501);
    await expect.poll(() => fixture.reads.length).toBe(2);
  });

  it("does not wait for the read of another one", async () => {
    const [other, ended] = [await open("two"), await open("one")];
    hung = "two";
    await requestCancel(fixture.world.as("alice"), "one");

    await pass([ended]);

    expect(other.readyState).toBe(WebSocket.OPEN);
  });
});

describe("a stream of events", () => {
  it("ends with its environment", async () => {
    fixture.serve((_, outgoing) => void outgoing.write("data: begun\n\n"));
    const host = "one.preview.localhost";
    const asked = request({ port: fixture.port, headers: { host, ...headers() } }).end();
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    await once(answer, "data");
    await requestCancel(fixture.world.as("alice"), "one");

    const closed = new Promise((resolve) => answer.on("error", () => undefined).once("close", resolve));
    fixture.world.clock.advance(5_001);
    await closed;

    expect(answer.errored).toMatchObject({ code: "ECONNRESET" });
  });
});

describe("requests of a page", () => {
  it("share the read of a page that runs, and a refused one is read again", async () => {
    await get("one");
    fixture.reads.length = 0;
    const running = [await get("one"), await get("one")];
    const readsOfRunning = fixture.reads.splice(0).length;
    await fixture.environment("late", { at: null });
    const statuses = [(await get("late")).status];
    await givePage("late");
    fixture.world.clock.advance(501);
    statuses.push((await get("late")).status);

    expect(running.map(({ status }) => status)).toEqual([200, 200]);
    expect([readsOfRunning, statuses]).toEqual([0, [503, 200]]);
  });

  it("are answered after one failed read while the table is away", async () => {
    await get("one");
    isAway = true;
    fixture.reads.length = 0;
    fixture.world.clock.advance(5_001);

    const { status } = await get("one");

    expect([status, fixture.reads]).toEqual([503, ["table.get"]]);
  });
});
