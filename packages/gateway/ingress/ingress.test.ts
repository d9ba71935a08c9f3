import { once } from "node:events";
import { type IncomingMessage, request, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { reservation } from "#core/environments/record/policy.ts";
import { requestStop } from "#core/environments/verbs/stop.ts";
import { apiKeyKey, hostKey } from "#core/store/keys.ts";
import { upgrade } from "#local/server/socket-fixture.ts";
import { eventually } from "#process/fixture.ts";
import { basic, type IngressFixture, openIngressFixture } from "./ingress-fixture.ts";

const LABEL = "vs-code-abc12345";
const HOST = `${LABEL}.preview.localhost:8080`;

let fixture: IngressFixture;
let bearer: { readonly authorization: string };
/** Times as short as a test needs: those of a running stack are of minutes. */
async function begin(times: Parameters<typeof openIngressFixture>[0] = {}): Promise<void> {
  fixture = await openIngressFixture({ checkMs: 50, ...times });
  await fixture.environment(LABEL);
  bearer = { authorization: `Bearer ${fixture.key}` };
}
beforeEach(() => begin());
afterEach(() => fixture.close());

async function beginAnew(times: Parameters<typeof openIngressFixture>[0]): Promise<void> {
  await fixture.close();
  await begin(times);
}

const get = (headers: Record<string, string> = bearer, host = HOST) => fixture.ask(host, { headers });

describe("a page", () => {
  it("opens with a key of its owner in any accepted header", async () => {
    const { key } = fixture;
    const ways = [bearer, { "x-api-key": key }, { authorization: basic(key) }, { authorization: basic(key, "") }];

    const answers = await Promise.all(ways.map((headers) => get(headers)));

    expect(answers.map(({ status, body }) => [status, body])).toEqual(ways.map(() => [200, "the page"]));
  });

  it("makes a browser ask for a key, whether or not the page exists", async () => {
    const expired = await fixture.keyOf("alice", { expiresAt: 1 });
    const bad = ["x".repeat(40), expired, "", `${fixture.key}x`].flatMap((key) => [
      ...[{ authorization: basic(key) }, { authorization: `Bearer ${key}` }],
    ]);
    const session = await fixture.keyOf("alice", { isWeb: true });
    const origin = "http://app.preview.localhost:8080";
    const browser = { cookie: `__Host-berth=${session}`, "sec-fetch-site": "same-origin", origin };
    const ways = [
      ...[{}, ...bad, browser, { authorization: `Bearer ${session}` }, { authorization: basic(session) }],
      ...[{ authorization: `Basic ${fixture.key}` }, { authorization: basic("", fixture.key) }],
    ];

    const answers = await Promise.all([...ways.map((headers) => get(headers)), get({}, "nobody.preview.localhost")]);

    const texts = new Set(answers.map(({ body }) => body));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 401));
    expect(answers.map(({ headers }) => headers["www-authenticate"])).toEqual(answers.map(() => 'Basic realm="Berth"'));
    expect([...texts].join()).toMatch(/^<!doctype html>.*API key as the password.*<\/html>\n$/s);
    expect(texts.size).toBe(1);
    expect((await get({ authorization: basic(await fixture.keyOf("alice", { disabled: true })) })).status).toBe(403);
  });

  it("with its own password is open to every visitor, and does not receive Berth's key", async () => {
    await fixture.environment("ide", { hasLogin: true });
    fixture.serve((incoming, outgoing) => outgoing.end(JSON.stringify(incoming.headers)));
    const host = "ide.preview.localhost:8080";
    const ways = [{}, bearer, { authorization: basic("wrong") }, { authorization: basic(await fixture.keyOf("bob")) }];

    const answers = await Promise.all(ways.map((headers) => get(headers, host)));

    expect(answers.map(({ status }) => status)).toEqual(ways.map(() => 200));
    expect(answers.map(({ body }) => body).join()).not.toContain("authorization");
    expect((await get({})).status).toBe(401);
  });

  it("costs two reads with a cached key, one if the label is free, and none without a name and key", async () => {
    await get();
    const getReads = async (...request: Parameters<typeof get>) => {
      fixture.reads.length = 0;
      await get(...request);
      return fixture.reads.length;
    };

    expect(await getReads()).toBe(2);
    expect(await getReads({}, "nobody.preview.localhost:8080")).toBe(1);
    expect(await getReads({}, "..preview.localhost:8080")).toBe(0);
  });

  it("with its own password needs a key of its owner once its environment is not active", async () => {
    await fixture.environment("ide", { hasLogin: true, policy: { ...reservation, restarts: true } });
    await requestStop(fixture.world.as("alice"), "ide");
    const host = "ide.preview.localhost:8080";

    expect([(await get({}, host)).status, (await get(bearer, host)).status]).toEqual([401, 503]);
  });

  it("of another owner is answered like a missing one", async () => {
    const theirs = { authorization: basic(await fixture.keyOf("bob")) };
    const odd = ["nobody", "a..b", `${LABEL}.more`, "%2e", "x".repeat(250), "host#x", `${LABEL}|-`];

    const [otherAnswer, ...missing] = await Promise.all([
      get(theirs),
      ...odd.map((label) => get(bearer, `${label}.preview.localhost:8080`)),
    ]);

    expect([otherAnswer.status, ...missing.map(({ status }) => status)]).toEqual([404, ...odd.map(() => 404)]);
    expect(new Set([otherAnswer, ...missing].map(({ body }) => body)).size).toBe(1);
  });

  it("is missing if its label is claimed for an earlier environment of the name", async () => {
    const claim = await fixture.world.table.get(hostKey(LABEL));
    const left = claim && { ...claim, uid: "0".repeat(32) };
    if (left) await fixture.world.table.put(left);

    expect((await get()).status).toBe(404);
  });

  it("refuses a cross-origin request of a browser that stores the key", async () => {
    const from = (origin: string, authorization = basic(fixture.key)) => get({ authorization, origin });

    const answers = await Promise.all([
      ...["https://evil.example", "http://other.preview.localhost:8080", "null", ""].map((origin) => from(origin)),
      ...[`http://${HOST}`, `https://${HOST}`].map((origin) => from(origin)),
      from("https://evil.example", bearer.authorization),
    ]);

    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403, 200, 200, 200]);
  });
});

describe("a browser that stores the key", () => {
  const ask = (site: string, mode: string, dest: string, authorization = basic(fixture.key)) =>
    get({ authorization, "sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest });

  it("loads no part of a page into a page of another site, and may follow a link from there", async () => {
    const refused = await Promise.all([
      ask("cross-site", "no-cors", "script"),
      ask("same-site", "no-cors", "image"),
      ask("cross-site", "navigate", "iframe"),
      ask("same-site", "websocket", "empty"),
    ]);
    const taken = await Promise.all([
      ask("cross-site", "navigate", "document"),
      ask("none", "navigate", "document"),
      ask("same-origin", "no-cors", "script"),
      ask("same-origin", "navigate", "iframe"),
      ask("cross-site", "cors", "empty", bearer.authorization),
    ]);

    expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 403));
    expect(taken.map(({ status }) => status)).toEqual(taken.map(() => 200));
  });
});

describe("open connections of a page", () => {
  /** Opens an answer that goes on. Resolves with its status. */
  const hold = async (at: string, localAddress: string, headers = "") => {
    const socket = connect({ port: fixture.port, host: "127.0.0.1", localAddress }).on("error", () => undefined);
    held.push(socket);
    socket.write(`GET / HTTP/1.1\r\nHost: ${at}\r\n${headers}\r\n`);
    const [head] = await once(socket, "data");
    return Number(/^HTTP\/1\.1 (\d+)/.exec(String(head))?.[1]);
  };
  const holdAll = (most: number, ...where: Parameters<typeof hold>) =>
    Promise.all(Array.from({ length: most }, () => hold(...where)));
  let held: Socket[];
  beforeEach(() => {
    held = [];
    fixture.serve((_, outgoing) => void outgoing.writeHead(200).flushHeaders());
  });
  afterEach(() => {
    for (const socket of held) socket.destroy();
  });

  it("are at most 128 of a visitor without a key, and others still enter", async () => {
    await fixture.environment("ide", { hasLogin: true });
    const host = "ide.preview.localhost:8080";

    const statuses = new Set(await holdAll(128, host, "127.0.0.1"));
    const refused = await get({}, host);
    const [otherVisitor, owner] = [
      await hold(host, "127.0.0.2"),
      await hold(host, "127.0.0.1", `X-API-Key: ${fixture.key}\r\n`),
    ];
    held[0]?.destroy();

    expect([...statuses, refused.status, refused.headers["retry-after"], otherVisitor, owner]).toEqual([
      ...[200, 503, "5", 200, 200],
    ]);
    await eventually(
      () => hold(host, "127.0.0.1"),
      (status) => status === 200,
    );
  });

  it("are at most 512 of an environment, WebSockets among them, and others still open", async () => {
    await fixture.environment("other");
    const withKey = `Authorization: ${bearer.authorization}\r\n`;
    const sockets = new WebSocketServer({ server: fixture.page });
    const ws = new WebSocket(`ws://127.0.0.1:${fixture.port}`, { headers: { host: HOST, ...bearer } });
    await once(ws, "open");

    const statuses = new Set(await holdAll(511, HOST, "127.0.0.1", withKey));
    const [refused, other] = [
      await hold(HOST, "127.0.0.1", withKey),
      await hold("other.preview.localhost", "127.0.0.1", withKey),
    ];
    ws.close();

    expect([...statuses, refused, other]).toEqual([200, 503, 200]);
    await eventually(
      () => hold(HOST, "127.0.0.1", withKey),
      (status) => status === 200,
    );
    sockets.close();
  });
});

describe("a host name", () => {
  it("leads to the API or to a page, and never to both", async () => {
    const api = [
      "localhost:8080",
      "127.0.0.1",
      "preview.localhost:8080",
      "evilpreview.localhost",
      `${HOST}.example`,
      "",
    ];
    const pages = [HOST, `${LABEL}.preview.localhost`, `${HOST.toUpperCase()}`, `${LABEL}.preview.localhost.:8080`];

    const answers = await Promise.all([...api, ...pages].map((host) => get(bearer, host)));
    const absolute = await fixture.ask("localhost", { path: `http://${HOST}/v1/me`, headers: bearer });

    expect(answers.map(({ status }) => status)).toEqual([...api.map(() => 418), ...pages.map(() => 200)]);
    expect(absolute.body).toBe("the page");
  });

  it("may have several parts before the domain", async () => {
    await fixture.environment("ws-one.centralindia");

    expect((await get(bearer, "ws-one.centralindia.preview.localhost:8080")).body).toBe("the page");
  });
});

describe("a page that is not running", () => {
  it("is explained with the state of its environment", async () => {
    await fixture.environment("silent", { at: null });
    await fixture.environment("sleeps", { policy: { ...reservation, restarts: true } });
    await requestStop(fixture.world.as("alice"), "sleeps");
    const stopping = await get(bearer, "sleeps.preview.localhost");
    await fixture.world.advance(5_000);
    await fixture.environment("waits", { size: huge });

    const answers = [
      ...[await get(bearer, "waits.preview.localhost"), stopping],
      ...[await get(bearer, "sleeps.preview.localhost"), await get(bearer, "silent.preview.localhost")],
    ];

    expect(answers.map(({ status, body }) => [status, /<p>(.*)<\/p>/.exec(body)?.[1]])).toEqual([
      [503, "It waits in the queue."],
      [503, "It is being stopped."],
      [503, "It is stopped. Start it to see its page."],
      [503, "It is running, and has no page to show."],
    ]);
  });

  const huge = { pool: "h100", instanceType: "p5.48xlarge", machines: 2, units: 8, gpus: 16, wantedMs: 3_600_000 };

  it("is answered 502 if no program listens", async () => {
    await fixture.environment("closed", { at: 1 });

    const closed = await get(bearer, "closed.preview.localhost");
    const posted = await fixture.ask("closed.preview.localhost", {
      method: "POST",
      body: "x".repeat(2_000_000),
      headers: bearer,
    });

    expect([closed.status, posted.status]).toEqual([502, 502]);
  });

  it("is answered 504 if its program does not answer", async () => {
    await beginAnew({ answerMs: 400 });
    fixture.serve(() => undefined);

    expect((await get()).status).toBe(504);
  });
});

describe("a page that answers after a slow upload", () => {
  const upload = (slow: AsyncIterable<string>) => {
    const options = { host: "127.0.0.1", port: fixture.port, method: "PUT", headers: { host: HOST, ...bearer } };
    const input = request(options).on("error", () => undefined);
    Readable.from(slow).pipe(input);
    return once(input, "response") as Promise<[IncomingMessage]>;
  };

  it("gets all of it", async () => {
    await beginAnew({ answerMs: 1_000 });
    fixture.serve(async (incoming, outgoing) => {
      const parts = await incoming.setEncoding("utf8").toArray();
      outgoing.end(parts.join(""));
    });
    // Twice as long as a page may take to answer.
    async function* slow() {
      for (let n = 0; n < 40; n += 1) {
        yield String(n % 10);
        await sleep(50);
      }
    }

    const [answer] = await upload(slow());

    expect([answer.statusCode, (await answer.setEncoding("utf8").toArray()).join("")]).toEqual([
      ...[200, "0123456789".repeat(4)],
    ]);
  });

  it("is answered 504 if the upload stops", async () => {
    await beginAnew({ answerMs: 400 });
    fixture.serve((incoming) => void incoming.resume());
    async function* stalled() {
      yield "begun";
      await new Promise(() => undefined);
    }

    const [answer] = await upload(stalled());

    expect(answer.statusCode).toBe(504);
  });
});

describe("a request for a page", () => {
  const seen = () => {
    const { promise, resolve } = Promise.withResolvers<IncomingMessage & { readonly text: string }>();
    fixture.serve(async (incoming, outgoing) => {
      const text = (await incoming.setEncoding("utf8").toArray()).join("");
      resolve(Object.assign(incoming, { text }));
      outgoing.end();
    });
    return promise;
  };

  it("arrives unchanged, without the key, hop-by-hop headers and forged forwarding headers", async () => {
    const arrived = seen();
    await fixture.ask(HOST, {
      method: "PUT",
      path: "//a%20b/../c?x=%2f&y",
      body: "text",
      headers: {
        ...bearer,
        "X-API-Key": "second",
        "Proxy-Authorization": "Basic eA==",
        TE: "trailers",
        "Keep-Alive": "5",
        Connection: "close, X-Mine",
        "X-Mine": "1",
        Upgrade: "h2c",
        "HTTP2-Settings": "x",
        Cookie: "a=b",
        "X-Forwarded-For": "8.8.8.8",
        "X-Forwarded-Prefix": "/x",
        Forwarded: "for=1",
        "X-Real-IP": "8.8.8.8",
        "X-Forwarded-Host": "evil.example",
        "Content-Length": "4",
        "X-Twice": ["1", "2"],
      },
    });

    const { method, url, text, rawHeaders } = await arrived;

    const names = rawHeaders.filter((_, n) => n % 2 === 0).map((name) => name.toLowerCase());
    const headers = Object.fromEntries(names.map((name, n) => [name, rawHeaders[2 * n + 1]]));
    expect({ method, url, text }).toEqual({ method: "PUT", url: "//a%20b/../c?x=%2f&y", text: "text" });
    expect(headers).toEqual({
      host: HOST,
      cookie: "a=b",
      "content-length": "4",
      connection: "keep-alive",
      "x-twice": "2",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-host": HOST,
      "x-forwarded-proto": "http",
    });
    expect(names.filter((name) => name === "x-twice")).toHaveLength(2);
  });

  it.each([
    ...["/../../etc/passwd", "/./..", "//evil.example/x", "/a//../b", "/..\\..\\x", "/%2e%2e/%2e%2e/x", "/..%2f..%2fx"],
    ...["/%252e%252e/x", "/.berth/../x", "/.berth%2fterminal", "/x/.berth/terminal", "/;/../x", "/?/../../x"],
  ])("reaches its own environment with the path %s as it is", async (path) => {
    await fixture.environment("other", { at: 1 });
    const arrived = seen();

    const { status } = await fixture.ask(HOST, { path, headers: bearer });

    const { url, headers } = await arrived;
    expect([status, url, headers.host]).toEqual([200, path, HOST]);
  });

  it("keeps the end of its body, in chunks and if its Connection header lists content-length", async () => {
    const begun = (head: string, body: string) => {
      const socket = connect(fixture.port, "127.0.0.1");
      socket.end(`${head} / HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: ${bearer.authorization}\r\n${body}`);
      return once(socket.resume(), "close");
    };
    const bodies = [
      await Promise.all([seen(), begun("DELETE", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")]),
      await Promise.all([seen(), begun("DELETE", "Connection: content-length\r\nContent-Length: 5\r\n\r\nhello")]),
    ];

    expect(bodies.map(([{ text }]) => text)).toEqual(["hello", "hello"]);
  });

  it("passes on an unusually spelled host in its normal form", async () => {
    const arrived = seen();

    await get(bearer, `${LABEL.toUpperCase()}.Preview.LOCALHOST.:99`);

    expect((await arrived).headers.host).toBe(`${LABEL}.preview.localhost:99`);
  });

  it("leaves neither key nor path in the log", async () => {
    await get({ authorization: basic(fixture.key) });
    await fixture.ask(HOST, { path: `/?token=hunter2&k=${fixture.key}` });
    const pages = () => fixture.log.lines.filter(({ event }) => event === "page");
    await expect.poll(() => pages().length).toBe(2);

    const lines = pages();
    expect(lines).toMatchObject([{ fields: { status: 200, user: "alice" } }, { fields: { status: 401 } }]);
    expect(JSON.stringify(fixture.log.lines)).not.toMatch(new RegExp(`${fixture.key}|hunter2|${basic(fixture.key)}`));
  });
});

describe("an answer of a page", () => {
  it("comes back unchanged, without hop-by-hop headers", async () => {
    fixture.serve((_, outgoing) => {
      outgoing.writeHead(302, { Location: "/x", "Set-Cookie": ["a=1", "b=2"], "Keep-Alive": "timeout=9" });
      outgoing.end("moved");
    });

    const { status, headers, body } = await get();

    expect([status, body]).toEqual([302, "moved"]);
    expect(headers).toMatchObject({ location: "/x", "set-cookie": ["a=1", "b=2"] });
    expect(headers["keep-alive"]).toBeUndefined();
  });

  it("sets no cookie for the pages of others", async () => {
    const cookies = [
      "a=1; Path=/; Domain=preview.localhost; Secure",
      "b=2; domain = .Preview.LOCALHOST",
      "c=3;DOMAIN=localhost",
      `d=4; Domain=${LABEL}.preview.localhost`,
      "e=Domain=preview.localhost; HttpOnly",
    ];
    fixture.serve((_, outgoing) => outgoing.writeHead(200, { "Set-Cookie": cookies }).end());

    const { headers } = await get();

    expect(headers["set-cookie"]).toEqual(["a=1; Path=/; Secure", "b=2", "c=3", cookies[3], cookies[4]]);
  });

  it("is streamed, headers before the first byte, and ends when either side disconnects", async () => {
    const pages: ServerResponse[] = [];
    fixture.serve((_, outgoing) => {
      pages.push(outgoing);
      outgoing.writeHead(200).flushHeaders();
    });
    const [request, two] = [await ask(), await ask()];

    pages[0]?.write("first");
    const [part] = await once(request, "data");
    const left = closed(pages[0]);
    const otherEntry = closed(two);
    request.destroy();
    await left;
    pages[1]?.destroy();
    await otherEntry;

    expect(String(part)).toBe("first");
    expect(two.complete).toBe(false);
  });

  it("ends if its page sends nothing for too long", async () => {
    await beginAnew({ idleMs: 400 });
    fixture.serve((_, outgoing) => void outgoing.writeHead(200).flushHeaders());

    const quiet = await ask();
    await closed(quiet);

    expect(quiet.complete).toBe(false);
  });

  const ask = async () => {
    const options = { host: "127.0.0.1", port: fixture.port, agent: false, headers: { host: HOST, ...bearer } };
    const input = request(options).end();
    const [answer] = (await once(input, "response")) as [IncomingMessage];
    return answer.on("error", () => undefined);
  };
  const closed = (stream: IncomingMessage | ServerResponse | undefined) =>
    new Promise<void>((resolve) => stream?.once("close", resolve));

  it.each([
    ["that precedes the end of the request", HOST, 413],
    ["of the ingress itself", "closed.preview.localhost", 502],
  ])("%s is delivered, and the connection takes another request", async (_, host, status) => {
    await fixture.environment("closed", { at: 1 });
    fixture.serve((incoming, outgoing) => {
      if (incoming.method === "GET") return outgoing.end("next");
      outgoing.writeHead(413, { Connection: "close" }).end("too much");
    });
    const socket = connect(fixture.port, "127.0.0.1");
    let text = "";
    socket.on("data", (part) => {
      text += String(part);
    });
    const head = (at: string) => `HTTP/1.1\r\nHost: ${at}\r\nAuthorization: ${bearer.authorization}\r\n`;

    socket.write(`POST / ${head(host)}Content-Length: 3000000\r\n\r\n${"x".repeat(30_000)}`);
    await eventually(
      () => text,
      (seen) => seen.includes("</html>") || seen.includes("too much"),
    );
    socket.write("x".repeat(2_970_000));
    socket.write(`GET / ${head(HOST)}Connection: close\r\n\r\n`);
    await once(socket, "close");

    expect(text.match(/^HTTP\/1\.1 (\d+)/gm)).toEqual([`HTTP/1.1 ${status}`, "HTTP/1.1 200"]);
    expect(text).toContain("next");
  });

  it("that violates HTTP fails only that request", async () => {
    fixture.page.removeAllListeners("request");
    fixture.page.on("request", ({ socket }: IncomingMessage) => socket.end("HTTP/1.1 099 Odd\r\n\r\n"));
    const odd = await get();
    fixture.page.removeAllListeners("request");
    fixture.page.on("request", ({ socket }: IncomingMessage) => socket.end("nonsense\r\n\r\n"));
    const nonsense = await get();
    fixture.page.removeAllListeners("request");
    const switching = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n";
    fixture.page.on("request", ({ socket }: IncomingMessage) => socket.write(switching));
    const switched = await get();

    expect([odd.status, nonsense.status, switched.status]).toEqual([502, 502, 502]);
    expect((await get({})).status).toBe(401);
  });
});

describe("a WebSocket of a page", () => {
  const open = (headers: Record<string, string> = bearer) =>
    new WebSocket(`ws://127.0.0.1:${fixture.port}/socket?x=1`, ["echo"], { headers: { host: HOST, ...headers } });
  const refused = async (headers: Record<string, string>) => {
    const [, answer] = (await once(
      open(headers).on("error", () => undefined),
      "unexpected-response",
    )) as [...[unknown, IncomingMessage]];
    return answer.statusCode;
  };
  let server: WebSocketServer;
  const urls: (string | undefined)[] = [];
  beforeEach(() => {
    urls.length = 0;
    server = new WebSocketServer({ server: fixture.page });
    server.on("connection", (ws, { url, headers }) => {
      urls.push(url, headers.authorization, headers.host);
      ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
    });
  });
  afterEach(() => void server.close());

  it("is passed on with its protocol, and echoes small and large messages", async () => {
    const ws = open();
    await once(ws, "open");

    const said: unknown[] = [];
    for (const text of ["hello", "x".repeat(1_000_000)]) {
      ws.send(text);
      said.push(String((await once(ws, "message"))[0]) === text);
    }
    ws.close(1000);

    expect([...said, ws.protocol]).toEqual([true, true, "echo"]);
    expect((await once(ws, "close"))[0]).toBe(1000);
    expect(urls).toEqual(["/socket?x=1", undefined, HOST]);
  });

  it("loses no message that was sent before the upgrade", async () => {
    const socket = connect(fixture.port, "127.0.0.1");
    const input = { ...upgrade, Host: HOST, Authorization: bearer.authorization };
    const head = Object.entries(input).map(([name, value]) => `${name}: ${value}\r\n`);
    // A masked frame of the text "hi" (RFC 6455, 5.2).
    const frame = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]);
    socket.write(Buffer.concat([Buffer.from(`GET / HTTP/1.1\r\n${head.join("")}\r\n`), frame]));
    let text = "";
    socket.on("data", (part) => {
      text += String(part);
    });

    await eventually(
      () => text,
      (seen) => seen.endsWith("hi"),
    );
    socket.destroy();

    expect(text).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
  });

  it("is refused before the upgrade, by the checks of a page or by the environment", async () => {
    const bob = await fixture.keyOf("bob");
    const statuses = [
      await refused({}),
      await refused({ authorization: basic(bob) }),
      await refused({ authorization: basic(fixture.key), origin: "https://evil.example" }),
    ];
    await fixture.environment("closed", { at: 1 });
    server.close();
    fixture.page.removeAllListeners("upgrade");

    expect([...statuses, await refused({ ...bearer, host: "closed.preview.localhost" })]).toEqual([401, 404, 403, 502]);
    expect(await refused(bearer)).toBe(200);
  });

  /** Comes once the stack has closed it. */
  const closing = (ws: WebSocket) =>
    once(
      ws.on("error", () => undefined),
      "close",
    );

  it("ends when its key is revoked, and others stay open", async () => {
    const [first, second] = [open(), open({ "x-api-key": await fixture.keyOf("alice") })];
    await Promise.all([first, second].map((ws) => once(ws, "open")));
    const closed = closing(first);

    const item = await fixture.world.table.get(apiKeyKey(fixture.world.ctx.ids.hash(fixture.key)));
    const revoked = item && { ...item, revokedAt: fixture.world.clock.now() };
    if (revoked) await fixture.world.table.put(revoked);
    fixture.world.clock.advance(5_001);
    await closed;

    expect(second.readyState).toBe(second.OPEN);
    const otherClosed = closing(second);
    second.close();
    await otherClosed;
    const lines = () => fixture.log.lines.filter(({ fields }) => fields?.status === 101);
    await eventually(lines, ({ length }) => length === 2);
  });

  it("ends after a time without messages", async () => {
    await beginAnew({ idleMs: 400 });
    const echoes = new WebSocketServer({ server: fixture.page });
    const ws = open();
    await once(ws, "open");

    await closing(ws);

    echoes.close();
  });
});
