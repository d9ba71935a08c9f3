import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import {
  type Answering,
  answerJson,
  type LoopbackServer,
  loopbackServer,
  refuse,
} from "../fixtures/loopback-fixture.ts";
import { type ApiClient, apiClient } from "./api-client.ts";
import { ApiRefused, ApiUnreachable } from "./api-error.ts";
import type { ApiAccess } from "./exchange.ts";

let server: LoopbackServer;
let client: ApiClient;

async function open(answer: Answering, options: Partial<ApiAccess> = {}): Promise<ApiClient> {
  server = await loopbackServer(answer, options);
  client = apiClient(server.access);
  return client;
}

afterEach(async () => {
  client.close();
  await server.close();
});

describe("a call", () => {
  it("carries the token and returns the object", async () => {
    await open((_, response) => answerJson(response, { kind: "Job" }));

    expect(await client.get("/apis/batch/v1/jobs/a")).toEqual({ kind: "Job" });
    expect(server.requests).toEqual([
      { method: "GET", url: "/apis/batch/v1/jobs/a", authorization: "Bearer secret-token" },
    ]);
  });

  it("that is refused names the call and the code, and neither the server's text, the query nor the token", async () => {
    await open((_, response) => refuse(response, 422, "Invalid", "spec.env: secret-value"));

    const error = await client.create("/api/v1/pods?command=secret-word", {}).catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(ApiRefused);
    expect(error).toMatchObject({ message: "POST /api/v1/pods: 422 Invalid", status: 422, code: "Invalid" });
    expect(error).toMatchObject({ said: "spec.env: secret-value" });
    expect(`${(error as Error).stack}`).not.toMatch(/secret-(token|word|value)/);
  });

  it("ends at its deadline, with no answer or half of one", async () => {
    await open(
      (_, response, count) => {
        if (count === 2) response.writeHead(200, { "content-length": 100 }).write("{");
      },
      { deadlineMs: 200 },
    );

    for (const path of ["/silent", "/half"]) {
      await expect(client.get(path)).rejects.toMatchObject({
        name: "ApiUnreachable",
        message: `GET ${path}: timed out`,
      });
    }
  });

  it("with a cut connection has no answer", async () => {
    await open((_, response, count) => {
      if (count === 1) return response.destroy();
      response.writeHead(200, { "content-length": 100 }).write("{");
      setImmediate(() => response.destroy());
    });

    await expect(client.get("/cut")).rejects.toBeInstanceOf(ApiUnreachable);
    await expect(client.get("/half")).rejects.toBeInstanceOf(ApiUnreachable);
  });

  it("fails on an endless answer, and ignores the endless text of a refusal", async () => {
    const mebibyte = "x".repeat(1024 ** 2);
    await open(
      (request, response) => {
        response.writeHead(request.url === "/refused" ? 403 : 200);
        const more = () => {
          while (!response.destroyed && response.write(mebibyte));
        };
        response.on("drain", more);
        more();
      },
      { deadlineMs: 600_000 },
    );

    await expect(client.get("/")).rejects.toMatchObject({ name: "ApiUnreachable", message: "GET /: too long" });
    await expect(client.get("/refused")).rejects.toMatchObject({ name: "ApiRefused", status: 403, said: "" });
  });

  it("is retried if the server had just closed the kept connection", async () => {
    await open((request, response, count) => {
      if (count === 2) return request.socket.destroy();
      answerJson(response, { count });
    });
    await client.get("/first");

    expect(await client.get("/second")).toEqual({ count: 3 });
  });

  it("is retried once the server allows it, until its deadline", async () => {
    await open(
      (_, response, count) => {
        if (count === 2) return answerJson(response, { count });
        response.setHeader("retry-after", count === 1 ? "0.05" : "60");
        refuse(response, 429, "TooManyRequests");
      },
      { deadlineMs: 1_500 },
    );

    // The first call opens the connection, which takes long on a busy machine.
    expect(await client.find("/busy", AbortSignal.timeout(120_000))).toEqual({ count: 2 });
    await expect(client.get("/busier")).rejects.toMatchObject({ status: 429, code: "TooManyRequests" });
  });

  it("is retried once with a fresh token, and not a third time", async () => {
    const input: (string | undefined)[] = [];
    const token = async (refused?: string) => {
      input.push(refused);
      return refused === undefined ? "old" : "new";
    };
    await open(
      (request, response) => {
        const isNew = request.headers.authorization === "Bearer new";
        if (isNew && request.url === "/fine") return answerJson(response, {});
        refuse(response, 401, "Unauthorized");
      },
      { token },
    );

    expect(await client.get("/fine")).toEqual({});
    await expect(client.get("/never")).rejects.toMatchObject({ status: 401 });
    expect(input).toEqual([undefined, "old", undefined, "old"]);
    expect(server.requests).toHaveLength(4);
  });

  it("ends at its deadline without a token", async () => {
    await open(() => undefined, { deadlineMs: 50, token: () => new Promise(() => undefined) });

    await expect(client.get("/")).rejects.toMatchObject({ message: "GET /: timed out" });
  });

  it("trusts no other certificate", async () => {
    const otherServer = await loopbackServer((_, response) => answerJson(response, {}));
    await open((_, response) => answerJson(response, {}), { ca: otherServer.access.ca });

    await expect(client.get("/")).rejects.toBeInstanceOf(ApiUnreachable);
    expect(server.requests).toEqual([]);
    await otherServer.close();
  });
});

describe("an object", () => {
  it("is missing only if the API server itself says so", async () => {
    await open((_, response, count) => {
      if (count === 1) return refuse(response, 404, "NotFound");
      if (count === 2) return void response.writeHead(404).end("404 page not found");
      response.writeHead(200).end("<html>");
    });

    expect(await client.find("/apis/batch/v1/jobs/a")).toBeUndefined();
    await expect(client.find("/apis/batch/v1/jobs/a")).rejects.toMatchObject({ status: 404, code: "" });
    await expect(client.find("/apis/batch/v1/jobs/a")).rejects.toMatchObject({ code: "not JSON" });
  });

  it.each([
    [404, "NotFound"],
    [409, "Conflict"],
  ])("is deleted if the answer is %i %s", async (status, reason) => {
    await open((_, response) => refuse(response, status, reason));

    await expect(client.remove("/api/v1/pods/a", { uid: "u" })).resolves.toBeUndefined();
  });

  it("is not deleted if the answer is another", async () => {
    await open((_, response) => refuse(response, 403, "Forbidden"));

    await expect(client.remove("/api/v1/pods/a", { uid: "u" })).rejects.toMatchObject({ status: 403 });
  });
});

describe("an object that is created concurrently", () => {
  it.each(["create", "apply"] as const)("is created again after a conflict over a quota: %s", async (verb) => {
    await open((_, response, count) => {
      if (count < 4) return refuse(response, 409, "Conflict", 'Operation cannot be fulfilled on resourcequotas "x"');
      answerJson(response, { count });
    });

    expect(await client[verb]("/apis/batch/v1/jobs", {})).toEqual({ count: 4 });
  });

  it("is not created again if it exists, and is retried only for a while", async () => {
    await open(
      (request, response) => refuse(response, 409, request.url?.startsWith("/there") ? "AlreadyExists" : "Conflict"),
      {
        deadlineMs: 300,
      },
    );

    await expect(client.create("/there", {}, AbortSignal.timeout(60_000))).rejects.toMatchObject({
      code: "AlreadyExists",
    });
    expect(server.requests).toHaveLength(1);
    await expect(client.create("/busy", {})).rejects.toMatchObject({ message: expect.stringContaining("POST /busy") });
  });

  it("is not created after the deadline that it shares with other calls", async () => {
    const ending = new AbortController();
    await open((_, response, count) => {
      if (count === 3) ending.abort();
      refuse(response, 409, "Conflict");
    });

    await expect(client.create("/busy", {}, ending.signal)).rejects.toThrow("POST /busy");
    await expect(client.apply("/late", {}, ending.signal)).rejects.toThrow("timed out");
    await expect(client.find("/late", ending.signal)).rejects.toThrow("timed out");

    expect(server.requests.map(({ url }) => url?.split("?")[0])).toEqual(["/busy", "/busy", "/busy"]);
  });
});

describe("a list", () => {
  const page = (items: readonly string[], next?: string) => ({
    metadata: { resourceVersion: "7", ...(next === undefined ? {} : { continue: next }) },
    items,
  });

  it("has the items of all its pages", async () => {
    await open((request, response) => {
      const next = new URL(request.url ?? "", server.access.url).searchParams.get("continue");
      answerJson(response, next === null ? page(["a", "b"], "x&y") : page(["c"]));
    });

    const listed = await client.list("/api/v1/pods?labelSelector=a", (item: string) => (item === "b" ? [] : [item]));

    expect(listed).toEqual({ items: ["a", "c"], resourceVersion: "7" });
    expect(server.requests.map(({ url }) => url)).toEqual([
      "/api/v1/pods?labelSelector=a&limit=1000",
      "/api/v1/pods?labelSelector=a&limit=2000&continue=x%26y",
    ]);
  });

  it("is read again if its next page has expired, without duplicates", async () => {
    await open((_, response, count) => {
      if (count === 2) return refuse(response, 410, "Expired");
      answerJson(response, count === 1 ? page(["a"], "next") : page(["a", "b"]));
    });

    expect((await client.list("/api/v1/pods", (item: string) => [item])).items).toEqual(["a", "b"]);
  });

  it("fails if a page is missing", async () => {
    await open((_, response, count) => {
      if (count === 1) return answerJson(response, page(["a"], "next"));
      refuse(response, 500, "InternalError");
    });

    await expect(client.list("/api/v1/pods", (item: string) => [item])).rejects.toMatchObject({ status: 500 });
  });
});

describe("a streamed reply", () => {
  it("continues past the deadline of its start, and ends with its signal", async () => {
    const ending = new AbortController();
    await open((_, response) => void response.writeHead(200).write("first"), { deadlineMs: 2_000 });
    const reply = await client.open("/log", ending.signal);
    const closed = new Promise((resolve) => reply.on("close", resolve));
    const parts: string[] = [];
    reply.on("data", (part) => parts.push(String(part)));
    reply.on("error", () => undefined);
    await once(reply, "data");
    const beyond = AbortSignal.timeout(2_050);
    await once(beyond, "abort");
    const wasOpen = !reply.closed;

    ending.abort();
    await closed;

    expect([parts, wasOpen]).toEqual([["first"], true]);
  });

  it("that does not start is given up", async () => {
    await open(() => undefined, { deadlineMs: 100 });

    await expect(client.open("/log", new AbortController().signal)).rejects.toMatchObject({ code: "timed out" });
  });
});
