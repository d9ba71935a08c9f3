import type { Page, WebSocketRoute } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: "shell" };
const window = 131_072;

test("a connection that is silent but alive stays", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, rows, connections, frames, faults } = await openRoutedShell();
  for (let n = 1; n <= 3; n += 1) {
    await page.clock.fastForward(15_000);
    await expect.poll(() => frames.filter((frame) => frame.includes('"pong"')).length).toBe(n);
    await page.clock.fastForward(11_000);
  }
  await page.keyboard.type("echo second-$kept\n");
  await rows.getByText("second-42").waitFor();

  expect(connections).toHaveLength(1);
  expect(faults()).toEqual([]);
});

const moments = [
  { moment: "25 s after its last frame", silenceMs: 15_000 },
  { moment: "10 s after the network came back", event: "online", silenceMs: 0 },
  { moment: "10 s after the page is seen again", event: "visibilitychange", silenceMs: 0 },
] as const;

test("a dead connection is replaced, and the shell is the same", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, rows, connections, cut, faults } = await openRoutedShell();
  const seen: unknown[] = [];
  for (const [n, { moment, silenceMs, ...others }] of moments.entries()) {
    cut();
    await page.keyboard.type(`echo lost${n}\n`);
    const event = "event" in others ? others.event : undefined;
    if (event) await page.evaluate(`document.dispatchEvent(new Event("${event}", { bubbles: true }))`);
    await page.clock.fastForward(silenceMs);
    await page.clock.fastForward(10_000);
    await page.getByText("The connection was lost. Connecting again …").waitFor({ timeout: 4_000 });
    await expect.poll(() => rows.getByText("what you typed last may be lost").count()).toBe(n + 1);
    await page.getByText("Connected").waitFor();
    await page.keyboard.type(`echo again${n}-$kept\n`);
    await rows.getByText(`again${n}-42`).waitFor();
    seen.push({ moment, connections: connections.length, lost: await rows.getByText(`echo lost${n}`).count() });
  }

  expect(seen).toEqual(moments.map(({ moment }, n) => ({ moment, connections: n + 2, lost: 0 })));
  expect(faults()).toEqual([]);
});

test("a paste that a lost connection cut is not continued on the next one", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, rows, connections, cut, faults } = await openRoutedShell();
  cut();
  await paste(page, `${"x".repeat(window)}\necho rest-$((6 * 7))\n`);
  await page.clock.fastForward(15_000);
  await page.clock.fastForward(10_000);
  await rows.getByText("what you typed last may be lost").waitFor();
  await page.getByText("Connected").waitFor();
  await page.keyboard.type("\necho second-$kept\n");
  await rows.getByText("second-42").waitFor();

  expect(connections).toHaveLength(2);
  expect(await rows.getByText("rest-42").count()).toBe(0);
  expect(faults()).toEqual([]);
});

test("a shell that replaces an ended one executes nothing that was typed for the other", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, rows, connections, hold, faults } = await openRoutedShell();
  const end = hold(4404);
  const admit = hold();
  await connections[0]?.close({ code: 1001 });
  await expect.poll(() => connections.length).toBe(2);
  await page.keyboard.type("echo stale-$((6 * 7))\n");
  end();
  await rows.getByText("the terminal has ended; this is a new one").waitFor();
  await expect.poll(() => connections.length).toBe(3);
  await page.keyboard.type("echo stale-$((6 * 7))\n");
  admit();
  await page.getByText("Connected").waitFor();
  await page.keyboard.type("echo new-$((6 * 7))-$kept-\n");
  await rows.getByText("new-42--").waitFor();

  expect(connections).toHaveLength(3);
  expect(await rows.getByText("stale").count()).toBe(0);
  expect(faults()).toEqual([]);
});

/** Opens the terminal of a job that runs. Its connections pass through the test, which moves the page's clock. */
async function openRoutedShell() {
  const { open, call, url, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  await page.getByRole("row", { name: /shell.*active/ }).waitFor();
  await page.clock.install();
  const routes = await routeConnections(page);
  await page.goto(`${url}/jobs/${job_id}/terminal`);
  await page.getByText("Connected").waitFor();
  const rows = page.locator(".xterm-rows");
  await page.keyboard.type("kept=$((6 * 7)); echo first-$kept\n");
  await rows.getByText("first-42").waitFor();
  return { page, rows, faults, ...routes };
}

async function routeConnections(page: Page) {
  const connections: WebSocketRoute[] = [];
  const frames: string[] = [];
  const cuts = new Set<WebSocketRoute>();
  const holds: { readonly until: Promise<void>; readonly code: number | undefined }[] = [];
  await page.routeWebSocket(/\/\.berth\/terminal$/, async (route) => {
    connections.push(route);
    const held = holds.shift();
    await held?.until;
    if (held?.code !== undefined) return route.close({ code: held.code });
    const server = route.connectToServer();
    route.onMessage((frame) => {
      if (!cuts.has(route)) server.send(frame);
    });
    server.onMessage((frame) => {
      if (cuts.has(route)) return;
      frames.push(String(frame));
      route.send(frame);
    });
    // The gateway closes a connection that another one replaces.
    route.onClose(() => (cuts.has(route) ? route.close({ code: 4409 }) : server.close()));
    server.onClose((code) => {
      if (!cuts.has(route)) void route.close(code === undefined ? {} : { code });
    });
  });
  return {
    connections,
    frames,
    /** Drops all frames of the connections so far. */
    cut: () => {
      for (const route of connections) cuts.add(route);
    },
    /** Holds the next connection until the test calls the returned function. With a code, it is closed then. */
    hold: (code?: number) => {
      const { promise: until, resolve } = Promise.withResolvers<void>();
      holds.push({ until, code });
      return resolve;
    },
  };
}

function paste(page: Page, text: string): Promise<void> {
  return page.evaluate(`(() => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", ${JSON.stringify(text)});
    document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
  })()`);
}
