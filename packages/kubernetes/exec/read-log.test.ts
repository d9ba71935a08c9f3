import { describe, expect, it } from "vitest";
import type { LogEnd, RunLog } from "#core/ports/run-log.ts";
import { type ApiClient, apiClient } from "../client/api-client.ts";
import { answerJson, loopbackServer } from "../fixtures/loopback-fixture.ts";
import { buildPaths } from "../paths.ts";
import { recentRuns } from "../watch/run-caches.ts";
import { readLog } from "./read-log.ts";
import { stampedLog } from "./stamped-log.ts";

it("a log times out even if the cluster does not name its pod", async () => {
  const never = () => new Promise<never>(() => undefined);
  const client = { find: never, list: never, open: never } as Partial<ApiClient> as ApiClient;

  const reading = readLog(
    { client, paths: buildPaths("environments"), deployment: "one" },
    { uid: "a".repeat(32), run: 1 },
    { recent: recentRuns(Date.now), known: undefined },
  );

  await expect(reading).rejects.toMatchObject({ name: "ApiUnreachable", code: "timed out" });
});

/** Reads a log from a node that answers with these texts in order. Returns the requests. */
async function readFrom(answers: readonly string[], knownLogEnd?: LogEnd) {
  const names: string[] = [];
  const labels = { "berth/uid": "a".repeat(32) };
  const pod = {
    metadata: { name: "pod", uid: "u", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z", labels },
    spec: {},
  };
  const server = await loopbackServer((request, response) => {
    if (!request.url?.includes("/log?")) return answerJson(response, { items: [pod], metadata: {} });
    response.writeHead(200, { "content-type": "text/plain" }).end(answers[names.length] ?? answers.at(-1));
    names.push(request.url);
  });
  const client = apiClient(server.access);
  const place = { client, paths: buildPaths("environments"), deployment: "one" };
  try {
    const recent = { ...recentRuns(Date.now), find: () => ({ jobs: [], pods: [pod] }) };
    const log = await readLog(place, { uid: "a".repeat(32), run: 1 }, { recent, known: knownLogEnd });
    return { log, text: new TextDecoder().decode(log.bytes), asked: names.length };
  } finally {
    client.close();
    await server.close();
  }
}

/** Line of the kubelet, printed this many ns after the minute. */
const at = (ns: number, line: string) => `2026-01-01T00:00:00.${String(ns).padStart(9, "0")}Z ${line}`;

const container = `containerd://${"0a".repeat(32)}`;
const errors = [
  `unable to retrieve container logs for ${container}`,
  'failed to try resolving symlinks in path "/var/log/pods/a_b_c/main/0.log": lstat /var/log/pods: no such file or directory',
  'failed to open log file "/var/log/pods/a_b_c/main/0.log": open /var/log/pods: too many open files',
];

describe("a kubelet's error that arrives as text with status 200", () => {
  it.each(errors)("is no log, and the log is read once more: %s", async (error) => {
    expect(await readFrom([error, at(1, "epoch 1\n")])).toMatchObject({ text: "epoch 1\n", asked: 2 });
  });

  it.each(errors)("is an error if it is repeated: %s", async (error) => {
    await expect(readFrom([error])).rejects.toThrow("The node does not find the container's log");
  });

  it.each([
    `${errors[0]}\n`,
    `epoch 1\n${errors[0]}`,
    `${errors[0]} said the node`,
    "unable to retrieve container logs for me",
    "",
  ])("is distinguished from a command's output: %j", async (text) => {
    expect(await readFrom([text])).toMatchObject({ text, asked: 1 });
  });

  it.each(errors)("is a log if a command printed it: %s", async (error) => {
    expect(await readFrom([at(1, error)])).toMatchObject({ text: error, asked: 1 });
  });
});

describe("the position of a log", () => {
  const end = ({ start, bytes, mark }: RunLog) => ({ position: start + bytes.length, mark });
  const again = Array.from({ length: 100_000 }, (_, n) => at(n, "the same line\n"));
  const size = "the same line\n".length;

  it("counts its bytes without the times", async () => {
    const { log } = await readFrom([again.join("")]);

    expect(log.bytes.length).toBe(1024 * 1024);
    expect(log.start).toBe(again.length * size - log.bytes.length);
  });

  it("continues after repeated output, also in a new file", async () => {
    const { log: early } = await readFrom([again.slice(0, 60_000).join("")]);
    const { log: whole } = await readFrom([again.join("")], end(early));
    const { log: late } = await readFrom([again.slice(50_000).join("")], end(early));

    expect([end(whole).position, end(late).position]).toEqual([again.length * size, again.length * size]);
    expect(late.start).toBe(50_000 * size);
  });

  it("continues in an incomplete line, and among lines of one time", async () => {
    const { log: early } = await readFrom([at(1, "a\n") + at(7, "a\n") + at(7, "a\n") + at(7, "10%\r")]);
    const { log: late } = await readFrom(
      [at(7, "a\n") + at(7, "a\n") + at(7, "10%\r20%\n") + at(7, "a\n")],
      end(early),
    );

    expect(early).toMatchObject({ start: 0, mark: at(7, "3 4") });
    expect([late.start, end(late).position]).toEqual([2, "a\na\na\n10%\r20%\na\n".length]);
  });

  it("is past everything that a follower may have read if the last line is gone", async () => {
    const { log: early } = await readFrom([at(1, "a\n") + at(2, "b\n")]);
    const { log: late } = await readFrom([at(5, "e\n")], end(early));

    const positions = early.start + early.bytes.length;
    // A follower may have read a MiB and more beyond the early copy.
    expect(late.start).toBeGreaterThan(positions + 512 * 1024 * 1024);
  });

  it("is found however the log is split into parts", () => {
    const sent = Buffer.from(at(1, "é\n") + at(2, "\n") + at(3, "x".repeat(60)) + at(4, "looks like a time"));
    for (let step = 1; step < 50; step++) {
      const log = stampedLog(undefined);
      for (let from = 0; from < sent.length; from += step) log.add(sent.subarray(from, from + step));
      const { bytes, mark } = log.end().log;
      expect(new TextDecoder().decode(bytes)).toBe(`é\n\n${"x".repeat(60)}${at(4, "looks like a time")}`);
      expect(mark).toBe(at(3, `1 ${60 + at(4, "looks like a time").length}`));
    }
  });
});
