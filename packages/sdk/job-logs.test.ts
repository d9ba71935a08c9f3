import { afterEach, expect, test } from "vitest";
import { Berth } from "./berth.ts";
import { openServer, type ServerFixture } from "./server-fixture.ts";

let server: ServerFixture;
afterEach(() => server.close());

const piece = (logs: string, next: number, ended = false) => ({ body: { logs, next, ended, truncated: false } });
const outage = Array(5).fill({ status: 503, headers: { "retry-after": "0" }, body: { detail: "Stopping" } });

test("a followed log continues where it was after an outage of the server, and reports the outage once", async () => {
  const replies = [piece("one\n", 4), ...outage, ...outage, piece("two\n", 8, true)];
  server = await openServer(() => replies.shift() ?? {});
  const outages: string[] = [];
  const logs = new Berth({ url: server.url }).jobs.logs("9e41", {
    follow: true,
    onOutage: ({ code }) => outages.push(code),
    onAnswer: () => outages.push("answers"),
  });

  const printed: string[] = [];
  for await (const text of logs) printed.push(text);

  expect(printed).toEqual(["one\n", "two\n"]);
  expect(outages).toEqual(["unavailable", "answers"]);
  const laterReads = server.seen.slice(1).map(({ path }) => new URL(path, server.url).searchParams.get("after"));
  expect(new Set(laterReads)).toEqual(new Set(["4"]));
});

test("a patient log waits through an outage before its first answer", async () => {
  const replies = [...outage, piece("one\n", 4), ...outage, piece("two\n", 8, true)];
  server = await openServer(() => replies.shift() ?? {});
  const logs = new Berth({ url: server.url }).jobs.logs("9e41", { follow: true, isPatient: true });

  const printed: string[] = [];
  for await (const text of logs) printed.push(text);

  expect(printed).toEqual(["one\n", "two\n"]);
});

test("a patient log reports its first answer after an outage, also if it is empty, and only once", async () => {
  const replies = [...outage, piece("", 0), piece("one\n", 4, true)];
  server = await openServer(() => replies.shift() ?? {});
  const events: string[] = [];
  const logs = new Berth({ url: server.url }).jobs.logs("9e41", {
    follow: true,
    isPatient: true,
    onOutage: ({ code }) => events.push(code),
    onAnswer: () => events.push("answers"),
    onFirstAnswer: () => events.push("first answer"),
  });

  for await (const text of logs) events.push(text);

  expect(events).toEqual(["unavailable", "answers", "first answer", "one\n"]);
});

const pause = Array(5).fill({ status: 429, headers: { "retry-after": "0" }, body: { detail: "Too many requests" } });

test("a followed log reports it when a server that was away asks for a pause", async () => {
  const replies = [piece("one\n", 4), ...outage, ...pause, piece("two\n", 8, true)];
  server = await openServer(() => replies.shift() ?? {});
  const outages: string[] = [];
  const onOutage = ({ code }: { code: string }) => void outages.push(code);

  for await (const text of new Berth({ url: server.url }).jobs.logs("9e41", { follow: true, onOutage })) {
    expect(["one\n", "two\n"]).toContain(text);
  }

  expect(outages).toEqual(["unavailable", "rate"]);
});

test("a followed log goes on after answers with status 429", async () => {
  const replies = [piece("one\n", 4), ...pause, piece("two\n", 8, true)];
  server = await openServer(() => replies.shift() ?? {});
  const outages: string[] = [];
  const onOutage = ({ code }: { code: string }) => void outages.push(code);

  const printed: string[] = [];
  for await (const text of new Berth({ url: server.url }).jobs.logs("9e41", { follow: true, onOutage })) {
    printed.push(text);
  }

  expect(printed).toEqual(["one\n", "two\n"]);
  expect(outages).toEqual(["rate"]);
});

test("a log that is not followed fails at once in an outage, and a followed one at any other error", async () => {
  const replies = [...outage, piece("one\n", 4), { status: 403, body: { detail: "No" } }];
  server = await openServer(() => replies.shift() ?? {});
  const { jobs } = new Berth({ url: server.url });
  const read = async (follow: boolean) => {
    for await (const text of jobs.logs("9e41", { follow })) expect(text).toBe("one\n");
  };

  await expect(read(false)).rejects.toThrow("Stopping");
  await expect(read(true)).rejects.toThrow("No");
});
