import { stat } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Queue } from "#core/ports/queue.ts";
import type { Table } from "#core/ports/table.ts";
import { buildApp } from "#http/app.ts";
import type { Deployment } from "#http/runtime.ts";
import { fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { endpoint as health } from "./health.ts";
import { endpoint as ready } from "./ready.ts";

/** The app of both, with some port calls replaced, 2 h 30 min 15 s after the start. */
async function fixture(replaced: Replaced = {}) {
  const runtime = await fixtureRuntime();
  runtime.clock.advance(9_015_900);
  const ports = {
    table: { ...runtime.ports.table, ...replaced.table },
    queue: { ...runtime.ports.queue, ...replaced.queue },
  };
  const deployment = { ...runtime.deployment, ...replaced.deployment };
  return { app: buildApp({ ...runtime, ports, deployment }, [health, ready]), log: runtime.log };
}

interface Replaced {
  readonly table?: Partial<Table>;
  readonly queue?: Partial<Queue>;
  readonly deployment?: Partial<Deployment>;
}

const broken = async () => {
  throw new Error("connect ECONNREFUSED 10.1.2.3:443");
};

test("a healthy Berth answers with the union of five documents, key for key", async () => {
  const { app } = await fixture();

  const response = await app.request("/health");

  expect(response.status).toBe(200);
  expect(await response.text()).toBe(
    '{"status":"healthy","timestamp":"2026-01-20T20:30:15Z","uptime":"2h30m15s","uptimeSeconds":9015,' +
      '"version":"1.0.0","service":"berth","database":"healthy","queue":"healthy",' +
      '"cluster":{"reachable":true,"since":null},"isolation":"none","limits":"none",' +
      '"services":{"jobQueue":"up","server":"running","storage":"available"}}',
  );
});

test("health is 503 without the table, with the same keys and no internal error", async () => {
  const { app, log } = await fixture({ table: { get: broken } });

  const response = await app.request("/health");

  const text = await response.text();
  expect(response.status).toBe(503);
  expect(JSON.parse(text)).toMatchObject({
    status: "unhealthy",
    reason: "Records cannot be read",
    database: "unhealthy",
    queue: "healthy",
    services: { jobQueue: "up", server: "running", storage: "unavailable" },
  });
  expect(text).not.toContain("10.1.2.3");
  expect(log.lines[0]).toMatchObject({ event: "dependency down", fields: { dependency: "table" } });
});

test("health is 503 without the queue", async () => {
  const { app } = await fixture({ queue: { depth: broken } });

  const response = await app.request("/health");

  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({
    status: "unhealthy",
    reason: "Messages cannot be read",
    database: "healthy",
    queue: "unhealthy",
    services: { jobQueue: "down", storage: "available" },
  });
});

test("a store that does not answer is down", async () => {
  const { app } = await fixture({ table: { get: () => new Promise(() => {}) } });

  const response = await app.request("/health");

  expect(response.status).toBe(503);
});

test("a store that has answered is up, even if this process was busy", async () => {
  const get = async () => {
    // After this, timers fire before answers that have arrived are read.
    await setImmediate();
    const answered = stat("/");
    // Longer than the time in which a store has to answer.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
    await answered;
    return undefined;
  };
  const { app } = await fixture({ table: { get } });

  const { status } = await app.request("/health");

  expect(status).toBe(200);
});

test("health is 503 with the reason while writes fail, and 200 once a write succeeds", async () => {
  let refusal: string | undefined = "The disk of this stack is full: nothing can be stored until there is room";
  const { app, log } = await fixture({ deployment: { whyNothingIsStored: async () => refusal } });

  const [ill, notReady] = [await app.request("/health"), await app.request("/ready")];
  refusal = undefined;
  const [well, isReady] = [await app.request("/health"), await app.request("/ready")];

  expect([ill, notReady, well, isReady].map(({ status }) => status)).toEqual([503, 503, 200, 200]);
  expect(await ill.json()).toMatchObject({
    status: "unhealthy",
    reason: "The disk of this stack is full: nothing can be stored until there is room",
    database: "unhealthy",
    queue: "unhealthy",
    services: { jobQueue: "down", server: "running", storage: "unavailable" },
  });
  expect(await well.json()).not.toHaveProperty("reason");
  expect(log.lines[0]).toMatchObject({ event: "dependency down", fields: { dependency: "writes" } });
});

test("readiness follows the same checks", async () => {
  const well = await (await fixture()).app.request("/ready");
  const ill = await (await fixture({ queue: { depth: broken } })).app.request("/ready");

  expect([well.status, await well.text()]).toEqual([200, '{"status":"ready"}']);
  expect([ill.status, await ill.text()]).toEqual([503, '{"status":"not ready"}']);
});
