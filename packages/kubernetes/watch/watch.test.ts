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

/** Follows a server with these answers in order, the last one repeatedly. */
async function following(answers: readonly Answer[], options: Partial<FollowOptions> = {}) {
  server = await loopbackServer((request, response, count) => {
    const query = new URL(request.url ?? "", "https://localhost").searchParams;
    (answers[count - 1] ?? answers.at(-1))?.(response, query);
  });
  // Longer than any answer takes: a retry would change the count of requests.
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
    /** Resolves once this event arrived. */
    seen,
    /** Returns the events up to this one, and the last version. */
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
  it("emits the existing objects, then each change", async () => {
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

  it("continues after an end and after a cut from the last version, a bookmark's too", async () => {
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
  ])("continues after a proxy's text in the stream: %s", async (_, odd) => {
    const { until, versions } = await following([
      list("5", "a"),
      eventsAndEnd(line("ADDED", thing("b", "6")), odd),
      events(line("ADDED", thing("c", "7"))),
    ]);

    const { received } = await until("ADDED c");

    expect(received).toEqual(["listed a", "ADDED b", "ADDED c"]);
    expect(versions()).toEqual([null, "5", "6"]);
  });

  it("continues where another watch ended, without a list", async () => {
    const { until, versions } = await following([list("50"), events(line("ADDED", thing("b", "53")))], { from: "42" });

    expect(await until("ADDED b")).toEqual({ received: ["ADDED b"], version: "53" });
    expect(versions()).toEqual([null, "42"]);
    expect(server.requests[0]?.url).toBe("/things?x=1&limit=1");
  });

  it("lists if the server is behind that version, as after a restored backup", async () => {
    const { until, versions } = await following(
      [list("41"), list("41", "a"), events(line("ADDED", thing("b", "42")))],
      { from: "4200" },
    );

    expect((await until("ADDED b")).received).toEqual(["listed a", "ADDED b"]);
    expect(versions()).toEqual([null, null, "41"]);
  });

  it("lists again if the server's versions go back", async () => {
    const { until, versions } = await following([
      list("50"),
      eventsAndEnd(line("BOOKMARK", thing("", "49"))),
      list("49", "a"),
      events(line("ADDED", thing("b", "50"))),
    ]);

    expect((await until("ADDED b")).received).toEqual(["listed ", "listed a", "ADDED b"]);
    expect(versions()).toEqual([null, "50", null, "49"]);
  });

  it("reports the reached version, at lists and bookmarks too", async () => {
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
  ])("lists again if the version has expired, reported %s", async (_, forgotten) => {
    const { until, versions } = await following([
      list("5", "a"),
      forgotten,
      list("50", "b"),
      events(line("ADDED", thing("c", "51"))),
    ]);

    expect((await until("ADDED c")).received).toEqual(["listed a", "listed b", "ADDED c"]);
    expect(versions()).toEqual([null, "5", null, "50"]);
  });

  it("lists nothing if only changes are wanted, and reports the start and each gap", async () => {
    const { until, versions } = await following(
      [
        list("5", "a"),
        eventsAndEnd(line("ADDED", thing("b", "6"))),
        (response) => refuse(response, 410, "Expired"),
        list("50", "a", "b"),
        events(line("ADDED", thing("c", "51"))),
      ],
      { changesOnly: true },
    );

    expect((await until("ADDED c")).received).toEqual(["listed ", "ADDED b", "listed ", "ADDED c"]);
    expect(versions()).toEqual([null, "5", "6", null, "50"]);
    expect(server.requests[3]?.url).toBe("/things?x=1&limit=1");
  });

  it("waits out an outage of the server, without another list", async () => {
    const { until, versions } = await following([
      list("5"),
      (response) => response.destroy(),
      (response) => refuse(response, 503, "ServiceUnavailable"),
      events(line("ADDED", thing("a", "6"))),
    ]);

    expect((await until("ADDED a")).received).toEqual(["listed ", "ADDED a"]);
    expect(versions()).toEqual([null, "5", "5", "5"]);
  });

  it("treats a silent watch as cut off", async () => {
    const { until, versions } = await following(
      [list("5"), (response) => response.writeHead(200).flushHeaders(), events(line("ADDED", thing("a", "6")))],
      { silentMs: 50 },
    );

    await until("ADDED a");

    expect(versions().slice(0, 3)).toEqual([null, "5", "5"]);
  });

  it("continues after a temporary refusal, as by a server that has just started", async () => {
    const { until } = await following([
      (response) => refuse(response, 403, "Forbidden"),
      list("5"),
      (response) => refuse(response, 401, "Unauthorized"),
      (response) => refuse(response, 401, "Unauthorized"),
      events(line("ADDED", thing("a", "6"))),
    ]);

    expect((await until("ADDED a")).received).toEqual(["listed ", "ADDED a"]);
  });

  it("throws if watching is forbidden", async () => {
    const { ended } = await following([list("5"), (response) => refuse(response, 403, "Forbidden")]);

    await expect(ended).rejects.toMatchObject({ status: 403 });
  });
});
