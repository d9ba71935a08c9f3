import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { type ApiClient, apiClient } from "../client/api-client.ts";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "../fixtures/loopback-fixture.ts";
import { type FollowOptions, follow, type Versioned } from "./watch.ts";

interface Thing extends Versioned {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
}

let server: LoopbackServer;
let client: ApiClient;

afterEach(async () => {
  client.close();
  await server.close();
});

type Answer = (response: ServerResponse, query: URLSearchParams) => void;

/** Follows what a server says that gives these answers one after the other, the last one again and again. */
async function following(answers: readonly Answer[], options: Partial<FollowOptions> = {}) {
  server = await loopbackServer((request, response, count) => {
    const query = new URL(request.url ?? "", "https://localhost").searchParams;
    (answers[count - 1] ?? answers.at(-1))?.(response, query);
  });
  // Longer than any machine needs for an answer: one that is late is asked for again, and these tests count what is asked.
  client = apiClient({ ...server.access, deadlineMs: 120_000 });
  const ending = new AbortController();
  const received: string[] = [];
  const reached: string[] = [];
  const wanted = new Map<string, () => void>();
  const tell = (text: string) => {
    received.push(text);
    wanted.get(text)?.();
  };
  const seen = async (text: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    wanted.set(text, resolve);
    if (!received.includes(text)) await promise;
  };
  const follower = {
    keep: ({ metadata }: Thing) => metadata.name,
    listed: (names: readonly string[]) => tell(`listed ${names}`),
    changed: (type: string, name: string) => tell(`${type} ${name}`),
    reached: (version: string) => void reached.push(version),
  };
  const ended = follow<Thing, string>(client, "/things?x=1", follower, { signal: ending.signal, ...options });
  return {
    ended,
    reached,
    /** Resolves once this was told. */
    seen,
    /** Everything up to this, and the version it ended with. */
    async until(text: string) {
      await seen(text);
      ending.abort();
      return { received, version: await ended };
    },
    versions: () => server.requests.map(({ url }) => new URLSearchParams(url.split("?")[1]).get("resourceVersion")),
  };
}

const thing = (name: string, resourceVersion: string): Thing => ({ metadata: { name, resourceVersion } });
const list =
  (version: string, ...names: readonly string[]): Answer =>
  (response) =>
    answerJson(response, {
      metadata: { resourceVersion: version },
      items: names.map((name) => thing(name, version)),
    });
const line = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;
const events =
  (...lines: readonly string[]): Answer =>
  (response) =>
    void response.writeHead(200).write(lines.join(""));
const eventsAndEnd =
  (...lines: readonly string[]): Answer =>
  (response) =>
    void response.writeHead(200).end(lines.join(""));

describe("follow", () => {
  it("tells what is there, then what comes, changes and goes", async () => {
    const { until, versions } = await following([
      list("5", "a", "b"),
      events(line("ADDED", thing("c", "6")), line("MODIFIED", thing("a", "7")), line("DELETED", thing("b", "8"))),
    ]);

    const { received, version } = await until("DELETED b");

    expect(received).toEqual(["listed a,b", "ADDED c", "MODIFIED a", "DELETED b"]);
    expect(version).toBe("8");
    expect(versions()).toEqual([null, "5"]);
    expect(server.requests[1]?.url).toMatch(/^\/things\?x=1&watch=1&allowWatchBookmarks=true&timeoutSeconds=300&/);
  });

  it("goes on after an end and after a cut from the last version that it was told, a bookmark's too", async () => {
    const begun = Promise.withResolvers<ServerResponse>();
    const { until, seen, versions } = await following([
      list("5", "a"),
      eventsAndEnd(line("BOOKMARK", thing("", "7"))),
      (response) => {
        response.writeHead(200).write(line("ADDED", thing("b", "8")) + line("ADDED", thing("c", "9")).slice(0, 20));
        begun.resolve(response);
      },
      events(line("ADDED", thing("c", "9"))),
    ]);
    await seen("ADDED b");
    (await begun.promise).destroy();

    const { received } = await until("ADDED c");

    expect(received).toEqual(["listed a", "ADDED b", "ADDED c"]);
    expect(versions()).toEqual([null, "5", "7", "8"]);
  });

  it.each([
    ["no JSON", "<html>gateway</html>\n"],
    ["no object", "7\n"],
    ["endless", "x".repeat(17 * 1024 ** 2)],
  ])("goes on after what a proxy put into the stream: %s", async (_, odd) => {
    const { until, versions } = await following([
      list("5", "a"),
      eventsAndEnd(line("ADDED", thing("b", "6")), odd),
      events(line("ADDED", thing("c", "7"))),
    ]);

    const { received } = await until("ADDED c");

    expect(received).toEqual(["listed a", "ADDED b", "ADDED c"]);
    expect(versions()).toEqual([null, "5", "6"]);
  });

  it("goes on where somebody else left off, without a list", async () => {
    const { until, versions } = await following([list("50"), events(line("ADDED", thing("b", "53")))], { from: "42" });

    expect(await until("ADDED b")).toEqual({ received: ["ADDED b"], version: "53" });
    expect(versions()).toEqual([null, "42"]);
    expect(server.requests[0]?.url).toBe("/things?x=1&limit=1");
  });

  it("lists where the server is behind who left off, as after a backup of its store was put back", async () => {
    const { until, versions } = await following(
      [list("41"), list("41", "a"), events(line("ADDED", thing("b", "42")))],
      { from: "4200" },
    );

    expect((await until("ADDED b")).received).toEqual(["listed a", "ADDED b"]);
    expect(versions()).toEqual([null, null, "41"]);
  });

  it("lists again where what the server tells is older than what it told", async () => {
    const { until, versions } = await following([
      list("50"),
      eventsAndEnd(line("BOOKMARK", thing("", "49"))),
      list("49", "a"),
      events(line("ADDED", thing("b", "50"))),
    ]);

    expect((await until("ADDED b")).received).toEqual(["listed ", "listed a", "ADDED b"]);
    expect(versions()).toEqual([null, "50", null, "49"]);
  });

  it("says up to which version it has told, at lists and bookmarks too", async () => {
    const { until, reached } = await following([
      list("5", "a"),
      events(line("BOOKMARK", thing("", "7")), line("ADDED", thing("b", "9"))),
    ]);

    await until("ADDED b");

    expect(reached).toEqual(["5", "7", "9"]);
  });

  it.each<[string, Answer]>([
    ["at once", (response) => refuse(response, 410, "Expired")],
    ["by an event", eventsAndEnd(line("ERROR", { kind: "Status", code: 410, reason: "Expired" }))],
  ])("lists again where the version was forgotten, said %s", async (_, forgotten) => {
    const { until, versions } = await following([
      list("5", "a"),
      forgotten,
      list("50", "b"),
      events(line("ADDED", thing("c", "51"))),
    ]);

    expect((await until("ADDED c")).received).toEqual(["listed a", "listed b", "ADDED c"]);
    expect(versions()).toEqual([null, "5", null, "50"]);
  });

  it("waits for a server that is away or in trouble, without a list of its own", async () => {
    const { until, versions } = await following([
      list("5"),
      (response) => response.destroy(),
      (response) => refuse(response, 503, "ServiceUnavailable"),
      events(line("ADDED", thing("a", "6"))),
    ]);

    expect((await until("ADDED a")).received).toEqual(["listed ", "ADDED a"]);
    expect(versions()).toEqual([null, "5", "5", "5"]);
  });

  it("takes a watch on which nothing comes any more for one that was cut off", async () => {
    const { until, versions } = await following(
      [list("5"), (response) => response.writeHead(200).flushHeaders(), events(line("ADDED", thing("a", "6")))],
      { silentMs: 50 },
    );

    await until("ADDED a");

    expect(versions().slice(0, 3)).toEqual([null, "5", "5"]);
  });

  it("goes on where it is refused for a moment, as by a server that has just started", async () => {
    const { until } = await following([
      (response) => refuse(response, 403, "Forbidden"),
      list("5"),
      (response) => refuse(response, 401, "Unauthorized"),
      (response) => refuse(response, 401, "Unauthorized"),
      events(line("ADDED", thing("a", "6"))),
    ]);

    expect((await until("ADDED a")).received).toEqual(["listed ", "ADDED a"]);
  });

  it("says so where it is not allowed to", async () => {
    const { ended } = await following([list("5"), (response) => refuse(response, 403, "Forbidden")]);

    await expect(ended).rejects.toMatchObject({ status: 403 });
  });
});
