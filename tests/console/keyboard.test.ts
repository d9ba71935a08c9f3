import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

test("an environment is started by keyboard alone", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const settings = { LOCAL_NODES: "p5.48xlarge=1,c7i.8xlarge=1" };
  const { open, call, faults } = await openConsole(settings);
  const page = await open("/");
  await page.getByText("Nothing runs or waits").waitFor();
  await tabTo(page, "New environment");
  await page.keyboard.press("Enter");
  await page.getByRole("radio", { name: /^h100/ }).waitFor();
  await tabTo(page, /^cpu-x86/);
  // Arrows choose within a group of radio buttons.
  const chosen = page.locator("input[name=machine]:checked");
  for (let presses = 0; presses < 12; presses++) {
    if (await page.getByRole("radio", { name: /^h100/ }).isChecked()) break;
    await page.keyboard.press("ArrowDown");
    await chosen.and(page.locator(":focus")).waitFor();
  }
  await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowRight");
  await tabTo(page, "Time");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("90m");
  await tabTo(page, "Name");
  await page.keyboard.type("by-keys");
  await tabTo(page, "Command");
  await page.keyboard.type("sleep 600");
  await tabTo(page, /^Return it to the queue/);
  await page.keyboard.press("Space");
  await tabTo(page, "Start it");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "by-keys" }).waitFor();
  const { jobs } = await call<{ jobs: Record<string, unknown>[] }>("GET", "/v1/jobs?name=by-keys");

  expect(jobs).toMatchObject([{ gpu_type: "h100", gpu_count: 2, duration_hours: 1.5, on_interruption: "requeue" }]);
  expect(faults()).toEqual([]);
});

/** Presses Tab until the control with this label or text has the focus. */
async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  const label = () =>
    page.evaluate<string>(`(document.activeElement.labels?.[0] ?? document.activeElement).innerText.trim()`);
  const isThere = (text: string) => (typeof name === "string" ? text === name : name.test(text));
  for (let presses = 0; presses < 60; presses++) {
    if (isThere(await label())) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`No Tab leads to ${name}; the focus is on ${await label()}`);
}
