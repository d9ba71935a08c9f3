import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { internal } from "#functions/shared/metrics.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { fixtureCatalog } from "./fixture-catalog.ts";
import { type Stack, startStack } from "./stack.ts";

let home: string;
let stack: Stack | undefined;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-metrics-"));
});

afterEach(async () => {
  await stack?.stop();
  stack = undefined;
  rmSync(home, { recursive: true });
});

async function start(settings: Record<string, string>): Promise<Stack> {
  const catalog = { ...fixtureCatalog(), internal: [{ name: "metrics", file: "metrics.ts", declaration: internal }] };
  stack = await startStack({
    environment: { BERTH_HOME: home, PORT: "0", ...settings },
    log: silentLog(),
    catalog,
  });
  return stack;
}

test("metrics are served only on a port of their own", async () => {
  const { url, metricsUrl } = await start({ METRICS_PORT: "0" });

  const served = await fetch(`${metricsUrl}/metrics`);
  const elsewhere = await fetch(`${url}/metrics`);
  const otherResponse = await fetch(`${metricsUrl}/v1/jobs`);

  expect(new URL(metricsUrl ?? "").hostname).toBe("127.0.0.1");
  expect(served.status).toBe(200);
  expect(await served.text()).toContain('berth_queue_messages{queue="work"}');
  expect(elsewhere.status).toBe(404);
  expect(otherResponse.status).toBe(404);
});

test("metrics are not served without a port", async () => {
  const { url, metricsUrl } = await start({});

  expect(metricsUrl).toBeUndefined();
  expect((await fetch(`${url}/metrics`)).status).toBe(404);
});

test("a taken metrics port is reported with its setting, and the home is released", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => taken.once("listening", resolve));
  const address = taken.address();
  const port = typeof address === "object" && address ? address.port : 0;

  const starting = start({ METRICS_PORT: String(port) });

  await expect(starting).rejects.toThrow(`Port ${port} is in use.\nSet METRICS_PORT to another port`);
  taken.close();
  await expect(start({ METRICS_PORT: String(port) })).resolves.toMatchObject({
    metricsUrl: `http://127.0.0.1:${port}`,
  });
});
