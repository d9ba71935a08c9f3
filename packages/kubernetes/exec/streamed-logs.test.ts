import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import type { LogEnd, LogPart, RunLog } from "#core/ports/run-log.ts";
import { type ApiClient, apiClient } from "../client/api-client.ts";
import { ApiUnreachable } from "../client/api-error.ts";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "../fixtures/loopback-fixture.ts";
import { buildPaths } from "../paths.ts";
import { recentRuns } from "../watch/run-caches.ts";
import { type LogStream, openLogStream } from "./log-stream.ts";
import { readLog } from "./read-log.ts";
import { type StreamedLogs, type StreamedLogsOptions, streamedLogs } from "./streamed-logs.ts";

const MIB = 1024 * 1024;
/** Longer than any test. */
const LONG_MS = 600_000;
const uid = "a".repeat(32);
const other = "b".repeat(32);

let server: LoopbackServer;
let client: ApiClient;
/** File of the kubelet that its log endpoint reads. */
let file = "";
let streams: ServerResponse[] = [];
let closed = 0;
/** Replaces the answer to the next requests for a log. */
let answer: ((response: ServerResponse, isStream: boolean) => boolean) | undefined;

afterEach(async () => {
  client.close();
  await server.close();
});

async function openLogs(options: Partial<StreamedLogsOptions> = {}): Promise<StreamedLogs> {
  [file, streams, closed, answer] = ["", [], 0, undefined];
  server = await loopbackServer(serve);
  client = apiClient(server.access);
  return newProcess(options);
}

function newProcess(options: Partial<StreamedLogsOptions> = {}): StreamedLogs {
  return streamedLogs(place(), { client, openedWithinMs: LONG_MS, answeredWithinMs: LONG_MS, ...options });
}

const place = () => ({ client, paths: buildPaths("environments"), deployment: "one" });

function serve({ url = "" }: { url?: string | undefined }, response: ServerResponse): void {
  if (!url.includes("/log?")) {
    answerJson(response, { items: jobs.map(getPod), metadata: {} });
    return;
  }
  const isStream = url.includes("follow=true");
  if (answer?.(response, isStream)) return;
  response.writeHead(200, { "content-type": "text/plain" }).write(file);
  if (!isStream) {
    response.end();
    return;
  }
  response.flushHeaders();
  response.on("close", () => {
    closed += 1;
  });
  streams.push(response);
}

/** Two machines of one run, and the only machine of another. */
const jobs = [`${uid}-r1`, `${uid}-r1-m1`, `${other}-r1`];

function getPod(job: string): object {
  const labels = { "berth/uid": job.slice(0, 32), "berth/run": "1" };
  const ownerReferences = [{ kind: "Job", name: job, uid: "1" }];
  const creationTimestamp = "2026-01-01T00:00:00Z";
  return { metadata: { name: `${job}-x`, uid: job, creationTimestamp, labels, ownerReferences }, spec: {} };
}

let ns = 0;

/** Writes text to the file and to each stream, with the time that the kubelet puts before a line. */
function print(text: string): void {
  for (const line of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    ns += 1;
    send(`2026-01-01T00:00:00.${String(ns).padStart(9, "0")}Z ${line}`);
  }
}

/** Sends text to the file and to each stream, or other text to the streams. */
function send(text: string, toStreams = text): void {
  file += text;
  for (const stream of streams) stream.write(toStreams);
}

/** The kubelet keeps a stream over a rotation, but reads only the new file for a copy. */
const rotate = () => {
  file = "";
};

const sent = (part: string) => server.requests.filter(({ url }) => url.includes(part)).length;
const countCalls = () => ({
  lists: sent("labelSelector"),
  copies: sent("/log?") - sent("follow"),
  streams: sent("follow"),
});

/** Copies the log, again if a busy machine takes longer than a copy may. */
async function copy(live: StreamedLogs, known?: LogEnd): Promise<RunLog> {
  for (;;) {
    try {
      return await readLog(place(), { uid, run: 1 }, { recent: recentRuns(Date.now), known, live });
    } catch (error) {
      if (!(error instanceof ApiUnreachable)) throw error;
    }
  }
}

const endOf = ({ start, bytes, mark }: RunLog): LogEnd => ({ position: start + bytes.length, mark });

/** Reads from a position on, with waits for output, until the text is there. Returns all of it and its end. */
async function readUntil(logs: StreamedLogs, from: number, last: string, known?: LogEnd) {
  let [position, text] = [from, ""];
  while (!text.endsWith(last)) {
    const part = await logs.read(uid, 1, position, known);
    if (part) {
      expect(part.start).toBe(position);
      text += Buffer.from(part.bytes).toString();
      position += part.bytes.length;
    }
    if (part && part.bytes.length === 0) await logs.waitFor(uid, 1, position, LONG_MS);
    if (!part) await sleep(20);
  }
  return { text, end: position };
}

describe("a followed log", () => {
  it("costs one stream for all lines and followers, and is that of the first machine", async () => {
    const logs = await openLogs();
    const lines = ["one\n", "two\n", "50%\r100%\r\n", "é€💥\n", "\n", "last\n"];
    print(lines[0] ?? "");
    const followers = [0, 1, 2].map(() => readUntil(logs, 0, "last\n"));
    let end = 0;
    for (const line of lines) {
      if (end > 0) print(line);
      end = (await readUntil(logs, end, line)).end;
    }

    const text = lines.join("");
    expect(await Promise.all(followers)).toEqual([0, 1, 2].map(() => ({ text, end: Buffer.byteLength(text) })));
    expect(countCalls()).toEqual({ lists: 1, copies: 1, streams: 1 });
    expect(server.requests.some(({ url }) => url.includes("-m1"))).toBe(false);
  });

  it("continues at its position when its stream breaks, and after a restart", async () => {
    const logs = await openLogs();
    print("one\n");
    const record = endOf(await copy(logs));
    const { end } = await readUntil(logs, 0, "one\n", record);
    print("two\n");
    const second = await readUntil(logs, end, "two\n", record);

    for (const stream of streams) stream.destroy();
    await expect.poll(() => logs.isOpen({ uid, run: 1 })).toBe(false);
    const missing = await logs.read(uid, 1, 0, record);
    print("three\n");
    const copied = await copy(logs, record);
    const third = await readUntil(logs, second.end, "three\n", record);
    const restarted = await readUntil(newProcess(), second.end, "three\n", record);

    expect(missing).toBeUndefined();
    expect([endOf(copied).position, third, restarted]).toEqual([14, third, third]);
    expect(third).toEqual({ text: "three\n", end: 14 });
  });

  it("stays at its position while a restarted kubelet does not know its container yet", async () => {
    const logs = await openLogs();
    print("one\n");
    const { end } = await readUntil(logs, 0, "one\n");
    const before = file;
    file = "";
    answer = (response, isStream) => {
      if (!isStream) refuse(response, 400, "BadRequest", "container main is waiting to start");
      return !isStream;
    };
    for (const stream of streams) stream.destroy();
    await expect.poll(() => logs.isOpen({ uid, run: 1 })).toBe(false);

    let part: LogPart | undefined;
    while (!part) part = (await logs.read(uid, 1, end)) ?? (await sleep(20));
    send(before);
    print("two\n");

    expect([part.start, part.bytes.length]).toEqual([end, 0]);
    expect((await readUntil(logs, end, "two\n")).text).toBe("two\n");
  });

  it("gets another stream at once when nothing was printed for so long that the connection may be broken", async () => {
    const logs = await openLogs({ silentMs: 100 });
    print("one\n");
    const record = endOf(await copy(logs));
    const { end } = await readUntil(logs, 0, "one\n", record);

    await expect.poll(() => logs.isOpen({ uid, run: 1 })).toBe(false);
    const quiet = await logs.read(uid, 1, end, record);
    print("two\n");

    expect(quiet).toEqual({ start: end, bytes: Buffer.from("") });
    expect(await readUntil(logs, end, "two\n", record)).toEqual({ text: "two\n", end: 8 });
  });

  it("is read over rotations, and copies agree with it", async () => {
    const logs = await openLogs();
    print("one\n");
    const record = endOf(await copy(logs));
    const first = await readUntil(logs, 0, "one\n", record);
    print("two\n");
    rotate();
    print("three\n");
    const third = await readUntil(logs, first.end, "three\n", record);

    expect(third).toEqual({ text: "two\nthree\n", end: 14 });
    expect(await copy(logs, record)).toMatchObject({ start: 8, bytes: Buffer.from("three\n") });
  });

  it("is copied at its position although the stream reaches a new file later than the copy", async () => {
    const logs = await openLogs();
    print("one\n");
    const record = endOf(await copy(logs));
    await readUntil(logs, 0, "one\n", record);
    rotate();
    const behind = streams;
    streams = [];
    print("two\n");
    streams = behind;
    answer = (response) => {
      response.writeHead(200).end(file, () => send("", file));
      answer = undefined;
      return true;
    };

    expect(await copy(logs, record)).toMatchObject({ start: 4, bytes: Buffer.from("two\n") });
    expect(await readUntil(logs, 4, "two\n", record)).toEqual({ text: "two\n", end: 8 });
  });

  it("begins past all that was read before if the end of the last copy was rotated away", async () => {
    const logs = await openLogs();
    print("one\n");
    const record = endOf(await copy(logs));
    print("two\n");
    const { end } = await readUntil(logs, 0, "two\n", record);
    rotate();
    print("three\n");

    const restarted = newProcess();
    const part = await restarted.read(uid, 1, end, record);
    const position = (part?.start ?? 0) + "three\n".length;
    print("four\n");
    const fourth = await readUntil(restarted, position, "four\n", record);

    expect(Buffer.from(part?.bytes ?? []).toString()).toBe("three\n");
    expect(part?.start).toBeGreaterThan(end);
    expect(fourth.text).toBe("four\n");
  });

  it("is the newest MiB", async () => {
    const logs = await openLogs();
    const line = `${"x".repeat(1023)}\n`;
    print(line.repeat(1500));

    const part = await logs.read(uid, 1, 0);
    print("last\n");
    await logs.waitFor(uid, 1, 1500 * line.length, LONG_MS);
    const grown = await logs.read(uid, 1, 0);

    expect([part?.start, part?.bytes.length]).toEqual([1500 * line.length - MIB, MIB]);
    expect([grown?.start, grown?.bytes.length]).toEqual([1500 * line.length + 5 - MIB, MIB]);
  });

  it("shows no error of the kubelet as output", async () => {
    const logs = await openLogs();
    print("one\n");
    const { end } = await readUntil(logs, 0, "one\n");
    const waiting = logs.waitFor(uid, 1, end, LONG_MS);
    send("", "rpc error: code = Unavailable desc = connection error: the runtime is down");

    await waiting;

    expect(await logs.read(uid, 1, 0)).toBeUndefined();
    expect(logs.findEnd({ uid, run: 1 })?.position).toBe(end);
  });

  it("is left to the copies while the kubelet does not answer, or when the container has ended", async () => {
    const logs = await openLogs();
    answer = (response, isStream) => {
      if (!isStream) refuse(response, 500, "InternalError", "dial tcp: connection refused");
      return !isStream;
    };
    const unreachable = await Promise.all([1, 2, 3].map(() => logs.read(uid, 1, 0)));
    const again = await logs.read(uid, 1, 0);
    const calls = countCalls();
    answer = undefined;
    print("one\n");
    const { end } = await readUntil(logs, 0, "one\n");
    const waiting = logs.waitFor(uid, 1, end, LONG_MS);
    for (const stream of streams) stream.end();
    await waiting;

    expect([...unreachable, again]).toEqual([undefined, undefined, undefined, undefined]);
    expect(calls).toEqual({ lists: 1, copies: 1, streams: 0 });
    expect(await logs.read(uid, 1, 0)).toBeUndefined();
  });

  it("is left to the copies while it grows too fast for a stream", async () => {
    const logs = await openLogs({ mostBytes: 1024 });
    print("one\n");
    const { end } = await readUntil(logs, 0, "one\n");
    const waiting = logs.waitFor(uid, 1, end + 2048, LONG_MS);
    print(`${"x".repeat(2047)}\n`);
    await waiting;

    expect(await logs.read(uid, 1, end)).toBeUndefined();
    expect(endOf(await copy(logs)).position).toBe(4 + 2048);
  });

  it("keeps its stream only while somebody reads it, and only so many at once", async () => {
    const logs = await openLogs({ idleMs: 1, mostStreams: 1 });
    print("one\n");
    const calls = logs.read(uid, 1, 0);
    const second = await logs.read(other, 1, 0);
    await calls;

    await expect.poll(() => closed, { timeout: LONG_MS }).toBe(1);

    expect(second).toBeUndefined();
    expect(countCalls()).toEqual({ lists: 1, copies: 1, streams: 1 });
    await expect.poll(() => logs.read(other, 1, 0), { timeout: LONG_MS }).toBeDefined();
  });

  it("gives its stream to another log once nobody waits for its output", async () => {
    const logs = await openLogs({ mostStreams: 1 });
    print("one\n");
    const first = await logs.read(uid, 1, 0);
    const second = await logs.read(other, 1, 0);
    const waiting = logs.waitFor(other, 1, 4, LONG_MS);
    const refused = await logs.read(uid, 1, 0);
    print("two\n");
    await waiting;
    const again = await logs.read(uid, 1, 0);

    const texts = [first, second, refused, again].map((part) => part && Buffer.from(part.bytes).toString());
    expect(texts).toEqual(["one\n", "one\n", undefined, "one\ntwo\n"]);
    expect([uid, other].map((name) => logs.isOpen({ uid: name, run: 1 }))).toEqual([true, false]);
  });

  it("does not count towards the limit of streams while it has none", async () => {
    const logs = await openLogs({ mostStreams: 1, mostBytes: 1024 });
    print("one\n");
    const { end } = await readUntil(logs, 0, "one\n");
    const waiting = logs.waitFor(uid, 1, end + 2048, LONG_MS);
    print(`${"x".repeat(2047)}\n`);
    await waiting;

    const part = await logs.read(other, 1, 0);

    expect(part?.bytes.length).toBe(4 + 2048);
  });

  it("keeps no reader waiting while the kubelet does not send it, and is read once it comes", async () => {
    const logs = await openLogs({ answeredWithinMs: 1 });
    const held: ServerResponse[] = [];
    answer = (response, isStream) => isStream && held.push(response) > 0;
    print("one\n");
    const reads = await Promise.all([1, 2, 3].map(() => logs.read(uid, 1, 0)));
    await expect.poll(() => held.length).toBe(1);
    const later = await logs.read(uid, 1, 0);

    held[0]?.writeHead(200).write(file);
    await expect.poll(() => logs.isOpen({ uid, run: 1 })).toBe(true);
    const part = await logs.read(uid, 1, 0);

    expect([...reads, later]).toEqual([undefined, undefined, undefined, undefined]);
    expect(Buffer.from(part?.bytes ?? []).toString()).toBe("one\n");
    expect(countCalls().streams).toBe(1);
  });

  it("is left to the copies for as long as a flood's if its stream cannot catch up", async () => {
    await openLogs();
    print("one\n");
    answer = (response, isStream) => {
      if (isStream) response.writeHead(200).flushHeaders();
      return isStream;
    };
    const limits = { client, known: undefined, mostBytes: MIB, silentMs: LONG_MS };
    let stream: LogStream | undefined;
    // A busy machine may take longer for the copy.
    for (let openedWithinMs = 250; !stream; openedWithinMs *= 2) {
      stream = await openLogStream(place(), { uid, run: 1 }, { ...limits, openedWithinMs }).catch(() => undefined);
    }
    const { pauseMs } = stream;

    await stream.closed;

    expect([stream.isOpen, stream.pauseMs > pauseMs]).toEqual([false, true]);
  });

  it("keeps its stream while a reader waits, however long that takes", async () => {
    const logs = await openLogs({ idleMs: 1 });
    await logs.read(uid, 1, 0);
    const waiting = logs.waitFor(uid, 1, 0, LONG_MS);
    await copy(logs);
    const isOpen = logs.isOpen({ uid, run: 1 });
    print("one\n");
    await waiting;

    expect([isOpen, logs.findEnd({ uid, run: 1 })?.position]).toEqual([true, 4]);
  });

  it("is waited for until the reader leaves", async () => {
    const logs = await openLogs();
    await logs.read(uid, 1, 0);
    const leaving = new AbortController();
    const waiting = logs.waitFor(uid, 1, 0, LONG_MS, leaving.signal);
    leaving.abort();

    await waiting;
    await logs.waitFor(uid, 1, 0, 0.5);

    expect(logs.isOpen({ uid, run: 1 })).toBe(true);
  });
});
