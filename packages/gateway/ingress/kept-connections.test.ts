import { Agent, request } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { environmentKey } from "#core/store/keys.ts";
import { newActor } from "#tests/worlds/memory-world.ts";
import { type AskOptions, type IngressFixture, openIngressFixture } from "./ingress-fixture.ts";
import { KeptConnections } from "./kept-connections.ts";
import { openRawPage, plainAnswer, type RawPage, untilClosed } from "./raw-page-fixture.ts";

const [OWN, OPEN] = ["own", "open"];

let fixture: IngressFixture;
let page: RawPage;
const browsers: Agent[] = [];

const begin = async (keptMs = 600_000) => {
  page = await openRawPage();
  fixture = await openIngressFixture({ keptMs }, { connect: page.connect, isBoundToRun: true });
  await fixture.environment(OWN);
  await fixture.environment(OPEN, { hasLogin: true });
};
beforeEach(() => begin());
afterEach(async () => {
  for (const browser of browsers.splice(0)) browser.destroy();
  page.close();
  await fixture.close();
});

const ask = (path: string, options: AskOptions = {}) =>
  fixture.ask(`${OWN}.preview.localhost`, {
    path,
    headers: { authorization: `Bearer ${fixture.key}` },
    ...options,
  });
const visit = (path: string, agent?: Agent) =>
  fixture.ask(`${OPEN}.preview.localhost`, { path, ...(agent && { agent }) });
const newBrowser = () => {
  const browser = new Agent({ keepAlive: true });
  browsers.push(browser);
  return browser;
};
const connections = () => page.requests.map(({ connection }) => connection);

describe("a connection to a page", () => {
  it("serves the next requests of one user", async () => {
    const answers = [await ask("/"), await ask("/"), await ask("/", { method: "HEAD" })];

    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [200, "the page"],
      [200, "the page"],
      [200, ""],
    ]);
    expect(connections()).toEqual([0, 0, 0]);
  });

  it("closes after a time without a request", async () => {
    page.close();
    await fixture.close();
    await begin(1);

    await ask("/");
    await untilClosed(page.streams[0]);

    expect(connections()).toEqual([0]);
  });

  it("does not gather listeners", async () => {
    const counts: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      await ask("/");
      const [stream] = page.streams;
      counts.push((stream?.eventNames() ?? []).reduce((sum, name) => sum + (stream?.listenerCount(name) ?? 0), 0));
    }

    expect(counts.slice(2)).toEqual(counts.slice(1, 3));
  });

  it("serves one request at a time", async () => {
    const answers = await Promise.all(["/a", "/b", "/c"].map((path) => ask(path)));

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(connections()).size).toBe(3);
  });

  it("serves one visitor without a key, but never a second one", async () => {
    const [first, second] = [newBrowser(), newBrowser()];

    for (const browser of [first, second, first, second]) await visit("/", browser);
    await ask("/");

    expect(connections()).toEqual([0, 1, 0, 1, 2]);
  });

  it("serves neither another run nor a client whose key is no longer good", async () => {
    await ask("/");
    const refused = await ask("/", { headers: { authorization: `Bearer ${fixture.key}x` } });
    const key = environmentKey(newActor("alice").uid, "gpu-dev", OWN);
    const item = await fixture.world.table.get(key);
    const next = { ...item, ...key, writers: ["w2"] };
    await fixture.world.table.put(Object.assign(next, { run: { ...(item?.run as object), n: 2 } }));
    fixture.world.clock.advance(5_001);
    await ask("/");

    expect(refused.status).toBe(401);
    expect(connections()).toEqual([0, 1]);
  });

  it("is new for a request that may not be sent twice", async () => {
    await ask("/");
    for (const method of ["POST", "PUT", "DELETE"]) await ask("/", { method });
    await ask("/", { body: "body", headers: { authorization: `Bearer ${fixture.key}`, "content-length": "4" } });

    expect(connections()).toEqual([0, 1, 2, 3, 4]);
  });

  it("is closed once the page closes it", async () => {
    page.answerWith((_, socket) => {
      socket.write(plainAnswer("once"));
      socket.end();
    });

    const answers = [await ask("/"), await ask("/")];
    await Promise.all(page.streams.map(untilClosed));

    expect(answers.map(({ body }) => body)).toEqual(["once", "once"]);
  });
});

describe("a kept connection that its page closes under a request", () => {
  const closeSecond = (before: string) =>
    page.answerWith(({ connection }, socket) => {
      const isFirst = page.requests.filter((request) => request.connection === connection).length === 1;
      if (isFirst) socket.write(plainAnswer("fresh"));
      else socket.end(before);
    });

  it("is replaced by a new one that sends the request again, without a warning of Node", async () => {
    closeSecond("");
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on("warning", note);

    const answers = [await ask("/1"), await ask("/2")];
    await nextTurn();
    process.off("warning", note);

    expect(warnings).toEqual([]);

    expect(answers.map(({ body }) => body)).toEqual(["fresh", "fresh"]);
    expect(page.requests.map(({ connection, path }) => [connection, path])).toEqual([
      [0, "/1"],
      [0, "/2"],
      [1, "/2"],
    ]);
  });

  it("leaves the request without an answer if one had begun", async () => {
    closeSecond("HTTP/1.1 2");

    const answers = [await ask("/1"), await ask("/2")];

    expect(answers.map(({ status }) => status)).toEqual([200, 502]);
    expect(connections()).toEqual([0, 0]);
  });

  it("is not tried a third time", async () => {
    page.answerWith(({ path }, socket) => {
      if (path === "/1") socket.write(plainAnswer("fresh"));
      else socket.destroy();
    });

    const answers = [await ask("/1"), await ask("/2")];

    expect(answers.map(({ status }) => status)).toEqual([200, 502]);
    expect(connections()).toEqual([0, 0, 1]);
  });
});

describe("a broken answer", () => {
  const stolen = plainAnswer("stolen");
  const announced = "Content-Length: 6\r\n\r\n";

  it.each([
    ["a second answer in the same packet", `${plainAnswer("first")}${stolen}`],
    ["a body after the head alone was asked for", `HTTP/1.1 200 OK\r\n${announced}`, "HEAD"],
    ["a body that an answer without content may not have", `HTTP/1.1 204 No Content\r\n${announced}`],
    ["a body of an unchanged page", `HTTP/1.1 304 Not Modified\r\n${announced}`],
    ["bytes after the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nstolen"],
    ["an answer that ends with its connection", "HTTP/1.0 200 OK\r\n\r\nfirst"],
  ])("with %s is the last one of its connection", async (_, bytes, method = "GET") => {
    page.answerWith(({ path }, socket) => {
      if (path !== "/broken") return void socket.write(plainAnswer("own"));
      socket.write(bytes);
      if (bytes.startsWith("HTTP/1.0")) socket.end();
    });

    await ask("/broken", { method });
    const next = await ask("/next");

    expect([next.body, connections()]).toEqual(["own", [0, 1]]);
  });

  it.each([
    ["a whole answer", stolen],
    ["a byte", "H"],
    ["an empty line", "\r\n"],
  ])("closes its connection with %s that comes later", async (_, bytes) => {
    let late = () => undefined as unknown;
    page.answerWith(({ path }, socket) => {
      socket.write(plainAnswer(path));
      late = () => socket.write(bytes);
    });

    await ask("/first");
    late();
    await untilClosed(page.streams[0]);
    const next = await ask("/next");

    expect([next.body, connections()]).toEqual(["/next", [0, 1]]);
  });

  it("that is cut off leaves its client with an error, and nothing for the next one", async () => {
    page.answerWith(({ path }, socket) => {
      if (path === "/next") socket.write(plainAnswer("own"));
      else socket.end("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    });

    await expect(ask("/half")).rejects.toThrow("aborted");
    const next = await ask("/next");

    expect([next.body, connections()]).toEqual(["own", [0, 1]]);
  });

  it("of one visitor never reaches another one, however late its bytes come", async () => {
    const [first, second] = [newBrowser(), newBrowser()];
    let sendLate = () => undefined as unknown;
    page.answerWith(({ path }, socket) => {
      // When the second visitor's request is there, and before its own answer.
      if (path === "/second") sendLate();
      else sendLate = () => socket.write(stolen);
      socket.write(plainAnswer(path));
    });

    const answers = [await visit("/first", first), await visit("/second", second)];

    expect(answers.map(({ body }) => body)).toEqual(["/first", "/second"]);
  });
});

it("keeps so many idle connections of a run, and so many in all", async () => {
  const limits = { idleMs: 60_000, mostOfRun: 2, mostInAll: 3 };
  const kept = new KeptConnections(limits);
  const get = (run: string) =>
    new Promise<void>((resolve, reject) => {
      const waiting = new AbortController().signal;
      const options = { agent: kept, place: { run, port: 1, client: "user" }, open: page.connect, waiting };
      const asked = request(options, (answer) => answer.resume().once("close", resolve)).on("error", reject);
      asked.once("socket", (stream) => kept.assign(asked, stream)).end();
    });

  await Promise.all(["one", "one", "one"].map(get));
  await Promise.all(["two", "two", "two"].map(get));
  const isOpen = () => page.streams.map((stream) => !stream.destroyed);
  const open = isOpen();
  kept.stop();

  expect([open.slice(0, 3), open.slice(3)].map((streams) => streams.filter(Boolean).length)).toEqual([2, 1]);
  expect(isOpen().filter(Boolean)).toEqual([]);
});
