import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { countKernels } from "./work.ts";

const now = Date.parse("2026-01-20T18:00:00Z");
const ago = (minutes: number) => new Date(now - minutes * 60_000).toISOString();
const close: (() => void)[] = [];
afterEach(() => {
  for (const entry of close.splice(0)) entry();
});

async function count(body: string, status = 200): Promise<number | null> {
  const server = createServer((_, response) => response.writeHead(status).end(body)).listen(0, "127.0.0.1");
  close.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  await new Promise((resolve) => server.once("listening", resolve));
  return countKernels(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, "token", now);
}

it.each([
  ["a busy kernel, whatever its last activity", { execution_state: "busy", last_activity: ago(600) }, 1],
  ["an idle kernel, even after recent activity", { execution_state: "idle", last_activity: ago(0) }, 0],
  ["a dead kernel", { execution_state: "dead", last_activity: ago(0) }, 0],
  ["a kernel that starts", { execution_state: "starting", last_activity: ago(1) }, 1],
  ["a kernel that never completed its start", { execution_state: "starting", last_activity: ago(11) }, 0],
  ["a kernel that is restarted", { execution_state: "restarting", last_activity: ago(1) }, 1],
  ["a kernel in an unknown state", { execution_state: "dreaming" }, 1],
])("a kernel counts as working or not: %s", async (_, kernel, counted) => {
  expect(await count(JSON.stringify([kernel]))).toBe(counted);
});

it("the working kernels are counted among several", async () => {
  const states = ["idle", "busy", "busy", "dead"].map((state) => ({ execution_state: state, last_activity: ago(5) }));

  expect([await count(JSON.stringify(states)), await count("[]")]).toEqual([2, 0]);
});

it.each([
  ["that refuses the token", "[]", 403],
  ["that fails", "[]", 500],
  ["that answers something else", '{"kernels":[]}', 200],
  ["that answers with no JSON", "<html>", 200],
  ["that answers without end", `["${"x".repeat(2 * 1024 * 1024)}"]`, 200],
])("work is unknown for a Jupyter %s", async (_, body, status) => {
  expect(await count(body, status)).toBeNull();
});

it("work is unknown for a Jupyter that does not listen or that redirects", async () => {
  const server = createServer((_, response) => response.writeHead(302, { location: "/other" }).end());
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const redirected = await countKernels(origin, "token", now);
  await new Promise((resolve) => server.close(resolve));

  expect([redirected, await countKernels(origin, "token", now)]).toEqual([null, null]);
});
