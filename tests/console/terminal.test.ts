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
  const { url, open, call, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  await page.getByRole("row", { name: /shell.*active/ }).waitFor();
  await page.goto(`${url}/jobs/${job_id}/terminal`);
  await page.getByText("Connected").waitFor();
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
  const { url, open, call, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/", { reducedMotion: "reduce" });
  await page.getByRole("row", { name: /shell.*active/ }).waitFor();
  await page.goto(`${url}/jobs/${job_id}/terminal`);
  await page.getByText("Connected").waitFor();
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
