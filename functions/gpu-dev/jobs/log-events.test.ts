import { expect, test } from "vitest";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { second as anotherCaller, httpWorld } from "#tests/worlds/http-world.ts";

interface LogEvent {
  readonly id?: string;
  readonly event: string;
  readonly data: { readonly logs?: string; readonly error?: string };
}

/** A job of an embedded stack that runs and has printed `first`. */
async function streaming(outcome: { kind: "lives" } | { kind: "exits"; code: number; afterMs: number }) {
  const world = await httpWorld({ streams: true });
  const key = await world.login();
  const id = await submitJob(world, key, { command: "x" });
  const uid = String(world.table.all().find(({ kind }) => kind === "environment")?.uid);
  world.compute.program(uid, outcome, { log: "first\n" });
  await world.advance(2_000);
  const open = (query = "", headers: Record<string, string> = {}, by = key) =>
    world.request("GET", `/v1/jobs/${id}/logs${query}`, {
      key: by,
      headers: { Accept: "text/event-stream", ...headers },
    });
  return { world, key, id, open, print: (text: string) => world.compute.print(uid, 1, text) };
}

/** Reads one event or comment after the other. */
function getReader(response: Response) {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const next = async (): Promise<LogEvent | undefined> => {
    const { done, value } = await reader.read();
    if (done) return undefined;
    const text = new TextDecoder().decode(value);
    if (text.startsWith(":")) return { event: "comment", data: {} };
    expect(text.endsWith("\n\n")).toBe(true);
    const fields = Object.fromEntries(
      text
        .trim()
        .split("\n")
        .map((line) => line.split(/: (.*)/s, 2)),
    );
    return { ...fields, data: JSON.parse(String(fields.data)) } as LogEvent;
  };
  return { next, cancel: () => reader.cancel() };
}

test("a log is sent as events whose ids are cursors, and ends with the job", async () => {
  const { open, print } = await streaming({ kind: "exits", code: 0, afterMs: 8_000 });
  const response = await open();
  const events = getReader(response);

  const first = await events.next();
  print("second\rline\n");
  const second = await events.next();
  let last = await events.next();
  while (last?.event === "comment") last = await events.next();

  expect(response.headers.get("content-type")).toBe("text/event-stream");
  expect(first).toEqual({ id: "6", event: "log", data: { logs: "first\n", truncated: false, next: "6" } });
  expect(second).toMatchObject({ id: "18", event: "log", data: { logs: "second\rline\n" } });
  expect([last, await events.next()]).toEqual([{ id: "18", event: "ended", data: {} }, undefined]);
});

test("a stream continues after the last event that its client received", async () => {
  const { open, print } = await streaming({ kind: "lives" });
  print("second\n");

  const resumed = getReader(await open("", { "Last-Event-ID": "6" }));
  const reader = getReader(await open("?after=9"));
  const odd = getReader(await open("", { "Last-Event-ID": "6; drop" }));

  const texts = [resumed, reader, odd].map(async ({ next }) => (await next())?.data.logs);
  expect(await Promise.all(texts)).toEqual(["second\n", "ond\n", "first\nsecond\n"]);
  for (const { cancel } of [resumed, reader, odd]) await cancel();
});

test("a stream sends comments to stay alive, and is closed once its key is revoked", async () => {
  const { world, key, open, print } = await streaming({ kind: "lives" });
  const events = getReader(await open());
  await events.next();
  const quiet = [await events.next(), await events.next()];
  print("second\n");
  expect(quiet.map((event) => event?.event)).toEqual(["comment", "comment"]);
  expect((await events.next())?.data.logs).toBe("second\n");

  const otherName = await world.login();
  await world.request("DELETE", `/v1/keys/${key.slice(0, 8)}`, { key: otherName });

  expect(await events.next()).toMatchObject({ event: "closed", data: { error: "key_revoked" } });
  expect(await events.next()).toBeUndefined();
});

test("another user's stream is answered like one of a missing job", async () => {
  const { world, open } = await streaming({ kind: "lives" });
  const stranger = await world.login(anotherCaller);

  expect((await open("", {}, stranger)).status).toBe(404);
});

test("a user has at most eight streams, and a client that leaves frees its place", async () => {
  const { world, open } = await streaming({ kind: "lives" });
  const readers = [];
  for (let n = 0; n < 8; n++) {
    const reader = getReader(await open());
    await reader.next();
    readers.push(reader);
  }

  const ninth = await open();
  expect([ninth.status, ninth.headers.get("berth-error")]).toEqual([400, "limit"]);
  expect(await ninth.json()).toEqual({ detail: "Too many logs are followed as event streams now: close one first" });
  await readers[0]?.cancel();
  await world.advance(10_000);
  expect((await open()).status).toBe(200);
  for (const reader of readers.slice(1)) await reader.cancel();
});

test("a client that leaves while its stream waits frees its place before the next check of its key", async () => {
  const { world, open } = await streaming({ kind: "lives" });
  const reader = getReader(await open());
  await reader.next();
  const leftAt = world.clock.monotonic();

  const waiting = reader.next();
  await reader.cancel();
  await waiting;

  expect(world.clock.monotonic() - leftAt).toBeLessThan(1_000);
});

test("a HEAD request for a stream takes no place", async () => {
  const { world, key, id, open } = await streaming({ kind: "lives" });
  const headers = { Accept: "text/event-stream" };
  for (let n = 0; n < 9; n++) await world.request("HEAD", `/v1/jobs/${id}/logs`, { key, headers });

  const response = await open();

  expect(response.status).toBe(200);
  await response.body?.cancel();
});

test("a client that accepts event streams gets JSON if answers cannot be streamed", async () => {
  const world = await httpWorld();
  const key = await world.login();
  const id = await submitJob(world, key, { command: "x" });

  const headers = { Accept: "text/event-stream" };
  const response = await world.request("GET", `/v1/jobs/${id}/logs`, { key, headers });

  expect(response.headers.get("content-type")).toBe("application/json");
  expect(await response.json()).toMatchObject({ job_id: id, logs: "" });
});
