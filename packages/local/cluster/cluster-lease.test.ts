import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ApiClient, apiClient } from "#kubernetes/client/api-client.ts";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "#kubernetes/fixtures/loopback-fixture.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { takeLease } from "./cluster-lease.ts";

const minuteMs = 60_000;
let directory: string;
let server: LoopbackServer;
let client: ApiClient;
/** The object on the server; its version is a precondition of each change, as of a real one. */
let stored: { metadata: Record<string, unknown>; spec: Record<string, unknown> } | undefined;
let now: number;
let log: ReturnType<typeof recordingLog>;
/** Runs while a start waits. */
let meanwhile: () => Promise<unknown>;
/** Number of reads that fail next. */
let failures: number;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "berth-lease-"));
  mkdirSync(join(directory, "first"));
  cpSync(join(directory, "first"), join(directory, "copy"), { recursive: true });
  [stored, now, log, failures] = [undefined, Date.UTC(2026, 0, 1), recordingLog(), 0];
  meanwhile = async () => undefined;
  server = await loopbackServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      if (request.method === "GET" && failures > 0) {
        failures -= 1;
        return refuse(response, 503, "ServiceUnavailable");
      }
      if (request.method === "GET") return stored ? answerJson(response, stored) : refuse(response, 404, "NotFound");
      const { metadata, spec } = JSON.parse(Buffer.concat(parts).toString());
      const version = Number(stored?.metadata.resourceVersion ?? 0);
      if (request.method === "POST" && stored) return refuse(response, 409, "AlreadyExists");
      if (request.method === "PATCH" && metadata.resourceVersion !== String(version))
        return refuse(response, 409, "Conflict");
      stored = { metadata: { ...metadata, uid: "uid", resourceVersion: String(version + 1) }, spec };
      answerJson(response, stored);
    });
  });
  client = apiClient(server.access);
});

afterEach(async () => {
  client.close();
  await server.close();
  rmSync(directory, { recursive: true });
});

/** `behindMs`: of the clock of its machine. */
const take = (home: string, { behindMs = 0, signal = new AbortController().signal } = {}) =>
  takeLease({
    client,
    namespace: "environments",
    deployment: "local-one",
    home: join(directory, home),
    clock: {
      now: () => now - behindMs,
      monotonic: () => now,
      async sleep(ms) {
        now += ms;
        await meanwhile();
      },
    },
    log,
    signal,
  });

test("a home gets its lease at each start, even right after its stack was killed", async () => {
  await take("first");
  const again = await take("first");

  await expect(again.confirm()).resolves.toBeUndefined();
  expect(stored?.spec).toMatchObject({
    holderIdentity: expect.stringContaining(`${hostname()}:${realpathSync(directory)}/first#`),
    renewTime: "2026-01-01T00:00:00.000000Z",
  });
});

test("a copy of a home is refused with advice while the first one lives", async () => {
  const first = await take("first");
  for (let minute = 0; minute < 5; minute += 1) {
    now += minuteMs;
    await first.confirm();
  }

  const refused = await take("copy").catch((error: Error) => error.message);

  expect(refused).toContain(`Another stack (${hostname()}:${realpathSync(directory)}/first) drives the environments`);
  expect(refused).toContain("set BERTH_HOME to an empty directory");
});

test("a copy of a home that stopped or was silent for minutes takes the lease, and the first one does nothing from then on", async () => {
  const first = await take("first");
  await first.release();
  const copy = await take("copy");
  now += 4 * minuteMs;
  const firstAgain = await take("first");

  await expect(first.confirm()).rejects.toThrow("This stack has stopped");
  await expect(copy.confirm()).rejects.toThrow(
    /Another stack \(.*\/first\) has taken over the environments of .*\/copy\./,
  );
  await expect(copy.confirm()).rejects.toThrow("Stop this one");
  await copy.release();
  await expect(firstAgain.confirm()).resolves.toBeUndefined();
  await expect(take("copy")).rejects.toThrow("and only one may");
});

test("a living home is not taken over, however wrong the clock of its machine is", async () => {
  const first = await take("first", { behindMs: 10 * minuteMs });
  meanwhile = () => first.confirm();

  await expect(take("copy")).rejects.toThrow("and only one may");
  await expect(first.confirm()).resolves.toBeUndefined();
});

test("a living home is not taken over after an outage of the API server", async () => {
  const first = await take("first", { behindMs: 10 * minuteMs });
  const before = now;
  const isAway = () => now - before >= 20_000 && now - before < 175_000;
  meanwhile = async () => {
    failures = isAway() ? 1 : 0;
    // It lists its machines once a minute.
    if ((now - before) % minuteMs === 10_000 && !isAway()) await first.confirm();
  };

  await expect(take("copy")).rejects.toThrow("and only one may");
  await expect(first.confirm()).resolves.toBeUndefined();
});

test("a failed read does not end the wait for a silent home, not even the last one", async () => {
  await take("first", { behindMs: 10 * minuteMs });
  let sleeps = 0;
  meanwhile = async () => {
    sleeps += 1;
    failures = sleeps === 3 || sleeps === 18 ? 1 : 0;
  };

  const copy = await take("copy");

  await expect(copy.confirm()).resolves.toBeUndefined();
  expect([sleeps, failures]).toEqual([30, 0]);
});

test("an API server that does not answer for three minutes ends the wait", async () => {
  await take("first", { behindMs: 10 * minuteMs });
  meanwhile = async () => {
    failures = 1;
  };

  await expect(take("copy")).rejects.toThrow("503");
});

test("a home is taken over after three minutes of silence, and the start says so", async () => {
  await take("first", { behindMs: 10 * minuteMs });
  const before = now;

  await expect(take("copy")).resolves.toBeDefined();

  expect(now - before).toBeGreaterThanOrEqual(3 * minuteMs);
  expect(log.lines).toMatchObject([{ level: "warn", event: expect.stringContaining("silent for 3 minutes") }]);
});

test("a start stops waiting for a home that stops or whose lease is deleted", async () => {
  const first = await take("first", { behindMs: 10 * minuteMs });
  const before = now;
  meanwhile = () => first.release();
  const copy = await take("copy");
  await expect(copy.confirm()).resolves.toBeUndefined();
  meanwhile = async () => (stored = undefined);
  await take("first", { behindMs: 10 * minuteMs });

  expect(now - before).toBeLessThan(minuteMs);
});

test("a waiting start can be aborted", async () => {
  await take("first", { behindMs: 10 * minuteMs });
  const ending = new AbortController();
  meanwhile = async () => ending.abort();

  await expect(take("copy", { signal: ending.signal })).rejects.toThrow("may still drive the environments");
});

test("calls renew the lease in one request per half minute", async () => {
  const lease = await take("first");
  const before = server.requests.length;
  await Promise.all([lease.confirm(), lease.confirm()]);
  const early = server.requests.length;
  now += minuteMs;

  await Promise.all([lease.confirm(), lease.confirm()]);

  expect([early, server.requests.length]).toEqual([before, before + 1]);
});

test("a lease that was deleted by hand is created again, and foreign text in it reaches no terminal", async () => {
  const lease = await take("first");
  stored = undefined;
  now += minuteMs;
  await lease.confirm();
  expect(stored).toBeDefined();
  now += minuteMs;
  const renewTime = new Date(now).toISOString();
  stored = { metadata: { uid: "uid", resourceVersion: "7" }, spec: { holderIdentity: "\u001b[2Jevil\n", renewTime } };

  await expect(lease.confirm()).rejects.toThrow("Another stack (?[2Jevil?) has taken over");
  await expect(take("copy")).rejects.toThrow("Another stack (?[2Jevil?) drives");
});
