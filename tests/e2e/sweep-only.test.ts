import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Queue, QueueName, ReconcileRequest } from "#core/ports/queue.ts";
import { type Catalog, loadCatalog } from "#http/catalog.ts";
import { shellEnvironment } from "#local/shell-environment.ts";
import { type Stack, startStack } from "#local/stack.ts";
import { silentLog } from "../fixtures/log.ts";
import { isOver, type JobClient, jobClient } from "./job-client.ts";
import { exportedIn } from "./stack-fixture.ts";

let home: string;
let stack: Stack | undefined;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-sweep-only-"));
});

afterEach(async () => {
  await stack?.stop();
  rmSync(home, { recursive: true });
});

it("jobs complete if only the sweep's messages arrive", async () => {
  const functions = await loadCatalog();
  // This must come before a pool exists, because a planned pool reconciles itself a minute later.
  const before = await start({ ...functions, consumers: [], schedules: [] });
  const [timed, command, broken, cancelled] = await Promise.all([
    before.jobs.submit({ instance_type: "p5.48xlarge", duration_hours: 0.001 }),
    before.jobs.submit({ instance_type: "c7i.8xlarge", command: "sleep 0.5" }),
    before.jobs.submit({ instance_type: "g4dn.2xlarge", command: "exit 2" }),
    before.jobs.submit({ instance_type: "g5.12xlarge" }),
  ]);
  await before.stop();
  const dropped: ReconcileRequest[] = [];

  const { jobs } = await start(withoutSends(functions, (message) => dropped.push(message)));
  await jobs.until(cancelled, ({ status }) => status === "active", 40_000);
  await jobs.cancel(cancelled);
  const ended = await Promise.all([timed, command, broken, cancelled].map((id) => jobs.until(id, isOver, 50_000)));

  expect(ended.map(({ status }) => status)).toEqual(["expired", "completed", "failed", "cancelled"]);
  for (const { timeline } of ended) expect(timeline.map(({ status }) => status)).toContain("active");
  expect(dropped.length).toBeGreaterThan(5 * ended.length);
});

async function start(catalog: Catalog): Promise<Stack & { readonly jobs: JobClient }> {
  const environment = { BERTH_HOME: home, PORT: "0", MIN_DURATION_HOURS: "0.001", SWEEP_SECONDS: "1" };
  stack = await startStack({ environment, log: silentLog(), catalog });
  const { API_KEY = "" } = exportedIn(await shellEnvironment({ home, fresh: false }));
  return { ...stack, jobs: jobClient(stack.url, API_KEY) };
}

/**
 * Returns the catalog with handlers and consumers whose sends are lost. A consumer of `work` may still pass on the
 * request for a pool that it received, because that is the sweep's message.
 */
function withoutSends(catalog: Catalog, drop: (message: ReconcileRequest) => void): Catalog {
  const deaf = (queue: Queue, forwarded: readonly ReconcileRequest[]): Queue => ({
    ...queue,
    send: async (name: QueueName, message, options) => {
      if (name === "pools" && forwarded.some(({ look: recordKey }) => recordKey === message.look)) {
        return queue.send(name, message, options);
      }
      drop(message);
    },
  });
  return {
    ...catalog,
    endpoints: catalog.endpoints.map((entry) => {
      const { verb } = entry.declaration;
      const declaration = {
        ...entry.declaration,
        verb: (input: Parameters<typeof verb>[0]) =>
          verb({ ...input, ctx: { ...input.ctx, queue: deaf(input.ctx.queue, []) } }),
      };
      return { ...entry, declaration };
    }),
    consumers: catalog.consumers.map((entry) => {
      const { verb, queue: name } = entry.declaration;
      const declaration = {
        ...entry.declaration,
        verb: (ctx: Parameters<typeof verb>[0], messages: readonly ReconcileRequest[]) =>
          verb({ ...ctx, queue: deaf(ctx.queue, name === "work" ? messages : []) }, messages),
      };
      return { ...entry, declaration };
    }),
  };
}
