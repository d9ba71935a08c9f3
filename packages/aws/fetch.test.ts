import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { AddressRefused, NoAnswer } from "#core/problem.ts";
import { fetch as deployedFetch, guardedFetch, retryAfterMs } from "./fetch.ts";

const servers: { close(): unknown }[] = [];
const loopback = ["127.0.0.0/8", "::1"];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Receiver on 127.0.0.1 with its port. */
async function receiver(answer: RequestListener): Promise<number> {
  return listen(createServer(answer));
}

/** Receiver that writes raw text to the socket. */
async function rawReceiver(answer: (socket: Socket) => void): Promise<number> {
  return listen(
    createTcpServer((socket) => {
      socket.on("error", () => undefined);
      answer(socket);
    }),
  );
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push(server);
  return (server.address() as AddressInfo).port;
}

function posting(url: string, timeoutMs = 60_000) {
  return { url, headers: { "Content-Type": "application/json", "webhook-id": "evt_1" }, body: '{"a":"ü"}', timeoutMs };
}

function resolving(...answers: string[][]) {
  const names: string[] = [];
  const resolve = async (hostname: string) => {
    names.push(hostname);
    const found = answers[Math.min(names.length, answers.length) - 1] ?? [];
    return found.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  };
  return { asked: names, resolve };
}

describe("a post", () => {
  test("sends headers and body unchanged, and returns the status", async () => {
    const seen: { headers: unknown; body: string; method: string | undefined; url: string | undefined }[] = [];
    const port = await receiver(async (request, response) => {
      let body = "";
      for await (const chunk of request.setEncoding("utf8")) body += chunk;
      seen.push({ headers: request.headers, body, method: request.method, url: request.url });
      response.writeHead(202).end("thanks");
    });

    const answer = await guardedFetch({ allow: loopback }).post(posting(`http://127.0.0.1:${port}/hook?a=b`));

    expect(answer).toEqual({ status: 202, retryAfterMs: null });
    expect(seen).toMatchObject([
      {
        method: "POST",
        url: "/hook?a=b",
        body: '{"a":"ü"}',
        headers: { "webhook-id": "evt_1", "content-length": "10", host: `127.0.0.1:${port}` },
      },
    ]);
  });

  test("follows no redirect", async () => {
    const paths: (string | undefined)[] = [];
    const port = await receiver((request, response) => {
      paths.push(request.url);
      response.writeHead(302, { Location: "/elsewhere" }).end();
    });

    const answer = await guardedFetch({ allow: loopback }).post(posting(`http://127.0.0.1:${port}/hook`));

    expect(answer.status).toBe(302);
    expect(paths).toEqual(["/hook"]);
  });

  test("returns the receiver's Retry-After", async () => {
    const port = await receiver((_, response) => void response.writeHead(429, { "Retry-After": "7" }).end());

    const answer = await guardedFetch({ allow: loopback }).post(posting(`http://127.0.0.1:${port}/`));

    expect(answer).toEqual({ status: 429, retryAfterMs: 7_000 });
  });

  test("stops reading an endless body", async () => {
    let written = 0;
    const port = await receiver((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(16 * 1024))) written += 16 * 1024;
      };
      response.on("drain", more).on("error", () => undefined);
      more();
    });

    const answer = await guardedFetch({ allow: loopback }).post(posting(`http://127.0.0.1:${port}/`, 60_000));

    expect(answer.status).toBe(200);
    expect(written).toBeLessThan(16 * 1024 * 1024);
  });

  test("hardly waits for a slow body, since the status is known", async () => {
    let written = 0;
    const port = await receiver((_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => {
        written += 1;
        response.write(".");
      }, 100);
      response.on("close", () => clearInterval(timer)).on("error", () => undefined);
    });

    const answer = await guardedFetch({ allow: loopback }).post(posting(`http://127.0.0.1:${port}/`, 60_000));

    expect(answer.status).toBe(200);
    // Its timeout would make it 600.
    expect(written).toBeLessThan(200);
  });

  test.each([
    [
      "answers one byte of its headers at a time",
      (socket: Socket) => void trickle(socket, "HTTP/1.1 200 OK\r\nX-A: b"),
    ],
    ["sends 100 Continue endlessly", (socket: Socket) => void trickle(socket, "HTTP/1.1 100 Continue\r\n\r\n")],
    ["accepts and is silent", () => undefined],
  ])("times out if a receiver %s", async (_, answer) => {
    const port = await rawReceiver(answer);

    const post = guardedFetch({ allow: loopback }).post(posting(`http://127.0.0.1:${port}/`, 700));

    await expect(post).rejects.toThrow(new NoAnswer("timed out"));
  });

  test.each([
    ["closes at once", (socket: Socket) => void socket.destroy(), /^connection closed$/],
    ["speaks something else", (socket: Socket) => void socket.end("SSH-2.0-x\r\n"), /^no HTTP answer$/],
    [
      "changes the protocol",
      (socket: Socket) => void socket.write("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
      /^connection closed$/,
    ],
  ])("names the reason for a missing answer: the receiver %s", async (_, answer, word) => {
    const port = await rawReceiver(answer);

    const post = guardedFetch({ allow: loopback }).post(posting(`http://127.0.0.1:${port}/?token=secret`));

    await expect(post).rejects.toThrow(NoAnswer);
    await expect(post).rejects.toThrow(word);
  });

  test("reports a refused connection and an unknown name", async () => {
    const { resolve } = resolving([]);
    const unknown = async () => {
      throw Object.assign(new Error("getaddrinfo ENOTFOUND hooks.example"), { code: "ENOTFOUND" });
    };
    const port = await receiver(() => undefined);
    for (const server of servers.splice(0)) server.close();

    const fetches = [
      guardedFetch({ allow: loopback, resolve }).post(posting(`http://127.0.0.1:${port}/`)),
      guardedFetch({ allow: [], resolve: unknown }).post(posting("http://hooks.example/")),
    ];

    const words = await Promise.all(fetches.map((post) => post.catch((error: Error) => error.message)));
    expect(words).toEqual(["connection refused", "name not found"]);
  });
});

function trickle(socket: Socket, text: string): void {
  let at = 0;
  const timer = setInterval(() => socket.write(text[at++ % text.length] ?? ""), 20);
  socket.on("close", () => clearInterval(timer));
}

describe("the guard", () => {
  test.each([
    "http://127.0.0.1/",
    "http://127.0.0.1./",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://0/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://１２７.0.0.1/",
    "http://10.0.0.1:8080/",
    "http://100.64.0.1/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://a.localhost/",
  ])("neither authorizes nor dials the private address %s", async (url) => {
    const { resolve } = resolving(["8.8.8.8"]);
    const guarded = guardedFetch({ allow: [], resolve });

    expect(await guarded.authorize(url)).toBe("private");
    await expect(guarded.post(posting(url))).rejects.toThrow(AddressRefused);
  });

  test("authorizes a name only if all of its addresses are allowed", async () => {
    const authorize = (...addresses: string[]) =>
      guardedFetch({ allow: [], ...resolving(addresses) }).authorize("https://hooks.example/");

    expect(await authorize("203.0.113.7")).toBe("allowed");
    expect(await authorize("203.0.113.7", "10.0.0.1")).toBe("private");
    expect(await authorize("2606:4700::1111", "::ffff:169.254.169.254")).toBe("private");
  });

  test("accepts a name that does not resolve yet, or whose resolver is silent", async () => {
    const failing = async () => {
      throw new Error("ENOTFOUND");
    };
    const silent = () => new Promise<never>(() => undefined);

    const answers = [failing, silent].map((resolve) =>
      guardedFetch({ allow: [], resolve }).authorize("https://a.example/"),
    );

    expect(await Promise.all(answers)).toEqual(["allowed", "allowed"]);
  });

  test("refuses a name that resolves to a private address when it is dialled", async () => {
    let connections = 0;
    const port = await rawReceiver((socket) => {
      connections += 1;
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    const { resolve, asked: names } = resolving(["203.0.113.7"], ["127.0.0.1"]);
    const guarded = guardedFetch({ allow: [], resolve });
    const url = `http://rebinding.example:${port}/`;

    const answer = await guarded.authorize(url);
    const post = guarded.post(posting(url));

    expect(answer).toBe("allowed");
    await expect(post).rejects.toThrow(AddressRefused);
    expect(names).toEqual(["rebinding.example", "rebinding.example"]);
    expect(connections).toBe(0);
  });

  test("dials exactly the checked address, without a second lookup", async () => {
    const port = await receiver((_, response) => void response.end());
    const { resolve, asked: names } = resolving(["127.0.0.1"], ["203.0.113.7"]);

    const answer = await guardedFetch({ allow: loopback, resolve }).post(posting(`http://hooks.example:${port}/`));

    expect(answer.status).toBe(200);
    expect(names).toEqual(["hooks.example"]);
  });

  test("dials an allow-listed host at any address", async () => {
    const port = await receiver((_, response) => void response.end());
    const { resolve } = resolving(["127.0.0.1"]);
    const guarded = guardedFetch({ allow: ["receiver.internal"], resolve });

    expect(await guarded.authorize(`http://receiver.internal:${port}/`)).toBe("allowed");
    expect((await guarded.post(posting(`http://receiver.internal:${port}/`))).status).toBe(200);
    await expect(guarded.post(posting(`http://other.internal:${port}/`))).rejects.toThrow(AddressRefused);
  });

  test.each(["http://user:password@203.0.113.7/", "ftp://203.0.113.7/"])("never posts to %s", async (url) => {
    await expect(guardedFetch({ allow: loopback }).post(posting(url))).rejects.toThrow(AddressRefused);
  });
});

test("refuses an allow-list that opens the deployed machine itself", () => {
  const before = process.env.WEBHOOK_ALLOW;
  try {
    process.env.WEBHOOK_ALLOW = "10.0.0.0/8,127.0.0.0/8";
    expect(deployedFetch).toThrow("WEBHOOK_ALLOW must not name the machine itself: 127.0.0.0/8");
    process.env.WEBHOOK_ALLOW = "10.0.0.0/8,receiver.internal";
    expect(deployedFetch).not.toThrow();
  } finally {
    if (before === undefined) delete process.env.WEBHOOK_ALLOW;
    else process.env.WEBHOOK_ALLOW = before;
  }
});

test("Retry-After is seconds or a date", () => {
  const now = Date.UTC(2026, 0, 20, 18);
  const headers = [
    undefined,
    "120",
    "0",
    "Tue, 20 Jan 2026 18:01:00 GMT",
    "Tue, 20 Jan 2026 17:00:00 GMT",
    "soon",
    "-1",
  ];

  const result = headers.map((header) => retryAfterMs(header, now));

  expect(result).toEqual([null, 120_000, 0, 60_000, 0, null, null]);
});
