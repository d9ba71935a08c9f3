import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { shellEnvironment } from "#local/shell-environment.ts";
import { type Stack, startStack } from "#local/stack.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { removeHome } from "#tests/e2e/stack-fixture.ts";
import { silentLog } from "#tests/fixtures/log.ts";

const SUBMITS = 500;
const CONNECTIONS = 25;
let home: string;
let stack: Stack;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-plans-"));
  const environment = { BERTH_HOME: home, PORT: "0", LOCAL_NODES: "p5.48xlarge=1" };
  stack = await startStack({ environment, log: silentLog() });
});

afterEach(async () => {
  await stack.stop();
  await removeHome(home);
});

// plan.test.ts checks the number of plans on its own clock, and `npm run bench` measures it here.
test("the local stack answers 500 submits without pause, and plans all of them", async () => {
  const [, key = ""] = /API_KEY='([^']+)'/.exec(await shellEnvironment({ home, fresh: false })) ?? [];
  const headers = { authorization: `Bearer ${key}` };
  const body = JSON.stringify({ image: "ubuntu", instance_type: "p5.48xlarge" });
  const statuses: number[] = [];
  const submit = async () => {
    while (statuses.length < SUBMITS) {
      const at = statuses.push(0) - 1;
      const response = await fetch(`${stack.url}/v1/jobs/submit`, { method: "POST", headers, body });
      await response.arrayBuffer();
      statuses[at] = response.status;
    }
  };

  await Promise.all(Array.from({ length: CONNECTIONS }, submit));
  const queued = await settledQueue(headers);

  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(queued).toBe(SUBMITS - 1);
});

/** Returns the number of waiting jobs once the pool knows all of them, or after PATIENCE_MS. */
async function settledQueue(headers: Readonly<Record<string, string>>): Promise<number> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const response = await fetch(`${stack.url}/v1/cluster/status`, { headers });
    const { queued_reservations } = (await response.json()) as { readonly queued_reservations: number };
    if (queued_reservations === SUBMITS - 1 || performance.now() > end) return queued_reservations;
    await sleep(100);
  }
}
