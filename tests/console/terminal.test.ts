import type { BrowserContextOptions, Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: "shell" };

test.for([
  ["stopped", "SIGUSR2"],
  ["killed", "SIGKILL"],
] as const)(
  "a terminal and a list go on by themselves when the stack was %s and started again",
  async ([, signal], { skip }) => {
    skip(noBrowser !== undefined, noBrowser);
    const { url, open, call, stop, startAgain, faults } = await openConsole();
    const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
    const list = await open("/");
    await list.getByRole("row", { name: /shell.*active/ }).waitFor();
    const page = await list.context().newPage();
    await page.goto(`${url}/jobs/${job_id}/terminal`);
    await page.getByText("Connected").waitFor();
    const rows = page.locator(".xterm-rows");
    await page.keyboard.type("kept=$((6 * 7)); echo first-$kept\n");
    await rows.getByText("first-42").waitFor();

    await stop(signal);
    await page.getByText("Connecting again").waitFor();
    await startAgain();
    await page.getByText("Connected").waitFor({ timeout: 60_000 });
    await page.keyboard.type("echo second-$kept\n");
    await rows.getByText("second-42").waitFor();
    await list.bringToFront();
    await list.getByText(/^Seen /).waitFor({ state: "detached", timeout: 60_000 });

    expect(await rows.getByText("first-42").count()).toBe(1);
    expect(faults().filter((fault) => !/WebSocket|ERR_CONNECTION_REFUSED/.test(fault))).toEqual([]);
  },
);

test("a title that a program sets, and an address that it prints, change nothing but the terminal", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, faults } = await openShell();
  await page.getByRole("heading", { name: "Terminal of shell" }).waitFor();
  const title = await page.title();
  await page.keyboard.type(
    String.raw`printf '\033]0;owned\007\033]52;c;b3duZWQ=\007<img src=x onerror=alert(1)> %s\n' done`,
  );
  await page.keyboard.press("Enter");
  await page.locator(".xterm-rows").getByText("<img src=x onerror=alert(1)> done").waitFor();

  expect([title, await page.title()]).toEqual(["Terminal of shell · Berth", "Terminal of shell · Berth"]);
  expect(await page.locator("img").count()).toBe(0);
  expect(faults()).toEqual([]);
});

test("a key leaves the terminal, a button turns on the lines for screen readers, and reduced motion does not", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, faults } = await openShell({ reducedMotion: "reduce" });
  const readable = page.locator(".xterm-accessibility");
  const before = await readable.count();
  await page.getByText("Ctrl+Shift+. leaves the terminal").waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Control+Shift+Period");
  const left = await page.evaluate("document.activeElement.textContent");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Screen reader", pressed: true }).waitFor();
  await page.keyboard.type("echo read-$((6 * 7))\n");
  await readable.getByText("read-42").first().waitFor();

  expect([before, left]).toEqual([0, "Back to the environment"]);
  expect(await violations(page)).toEqual([]);
  expect(faults()).toEqual([]);
});

test("a terminal works in a browser that refuses web storage", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, open, call, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  await page.getByRole("row", { name: /shell.*active/ }).waitFor();
  const refuse = () => {
    throw new DOMException("Access is denied for this document", "SecurityError");
  };
  for (const storage of ["localStorage", "sessionStorage"]) {
    await page.addInitScript(`Object.defineProperty(window, "${storage}", { get: ${refuse} })`);
  }
  await page.goto(`${url}/jobs/${job_id}/terminal`);
  await page.getByText("Connected").waitFor();
  await page.getByRole("button", { name: "Screen reader" }).click();
  await page.getByRole("button", { name: "Screen reader", pressed: true }).waitFor();
  await page.keyboard.type("echo works-$((6 * 7))\n");
  await page.locator(".xterm-rows").getByText("works-42").waitFor();
  await page.reload();
  await page.getByText("Connected").waitFor();

  expect(faults()).toEqual([]);
});

test("a terminal at rest draws no frames", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, faults } = await openShell();
  await page.locator(".xterm-rows").getByText("$").first().waitFor();

  await expect.poll(() => countFrames(page), { timeout: 15_000 }).toBe(0);
  expect(faults()).toEqual([]);
});

test("an open terminal ends with its session, and says so", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, job_id, call, page, faults } = await openShell();
  await page.keyboard.type("echo before-$((6 * 7))\n");
  const rows = page.locator(".xterm-rows");
  await rows.getByText("before-42").waitFor();
  const { keys } = await call<{ keys: { kind: string; key_prefix: string }[] }>("GET", "/v1/keys");
  await call("DELETE", `/v1/keys/${keys.find(({ kind }) => kind === "web")?.key_prefix}`);
  await page.getByText(/revoked/i).waitFor();
  await page.goto(`${url}/jobs/${job_id}`);
  await page.getByText("This browser's session was revoked").waitFor();

  expect(page.url()).toBe(`${url}/login`);
  expect(faults().filter((fault) => !fault.includes("WebSocket"))).toEqual([]);
});

test("a reload returns to the same shell and sends it nothing, and a duplicated tab opens a shell of its own", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, faults } = await openShell();
  const rows = page.locator(".xterm-rows");
  // The program asks the terminal for its attributes and reads the answer.
  await page.keyboard.type("kept=$((6 * 7)); printf '\\033[c'; read -rsd c; echo first-$kept\n");
  await rows.getByText("first-42").waitFor();
  const copied = await page.evaluate<Record<string, string>>("({ ...sessionStorage })");
  await page.reload();
  await rows.getByText("first-42").waitFor();
  await page.keyboard.type("echo second-$kept\n");
  await rows.getByText("second-42").waitFor();

  const duplicate = await page.context().newPage();
  await duplicate.addInitScript({ content: `Object.assign(sessionStorage, ${JSON.stringify(copied)})` });
  await duplicate.goto(page.url());
  await duplicate.getByText("Connected").waitFor();
  await duplicate.keyboard.type("echo other-$((6 * 7))-$kept-\n");
  await duplicate.locator(".xterm-rows").getByText("other-42--").waitFor();
  await page.bringToFront();
  await page.keyboard.type("exit\n");
  await page.getByText("The shell has ended", { exact: true }).waitFor();
  await page.reload();
  await page.getByText("Connected").waitFor();
  await page.keyboard.type("echo third-$((6 * 7))-$kept-\n");
  await rows.getByText("third-42--").waitFor();

  expect(await rows.getByText("first-42").count()).toBe(0);
  expect(faults()).toEqual([]);
});

/** Opens a console, and the terminal of a job that runs. */
async function openShell(options: BrowserContextOptions = {}) {
  const stack = await openConsole();
  const { job_id } = await stack.call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await stack.open("/", options);
  await page.getByRole("row", { name: /shell.*active/ }).waitFor();
  await page.goto(`${stack.url}/jobs/${job_id}/terminal`);
  await page.getByText("Connected").waitFor();
  return { ...stack, job_id, page };
}

/** Counts the frames of two seconds, in which a caret blinks four times. */
async function countFrames(page: Page): Promise<number> {
  const browser = page.context().browser();
  await browser?.startTracing(page, { categories: ["cc"] });
  await page.waitForTimeout(2_000);
  const { traceEvents } = JSON.parse(String(await browser?.stopTracing())) as { traceEvents: { name: string }[] };
  return traceEvents.filter(({ name }) => name === "ProxyMain::BeginMainFrame").length;
}
