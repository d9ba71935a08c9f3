import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: "runs" };

test("scrolling up in a log turns Follow off, and new lines leave the text where it is", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  const { promise: hasScrolled, resolve: answer } = Promise.withResolvers<void>();
  const piece = { truncated: false, ended: false };
  const lines = Array.from({ length: 300 }, (_, n) => `line ${n}\n`).join("");
  await page.route(/\/logs\?/, async (route) => {
    if (!route.request().url().includes("after=")) return route.fulfill({ json: { ...piece, logs: lines, next: 1 } });
    await hasScrolled;
    return route.fulfill({ json: { ...piece, logs: "newest\n", next: 2, ended: true } });
  });
  await page.goto(`${url}/jobs/${job_id}/logs`);
  const follow = page.getByLabel("Follow");
  await untilBelow(page, 1000);
  const before = await follow.isChecked();
  await page.mouse.move(400, 400);
  await page.mouse.wheel(0, -1000);
  await page.locator("input:not(:checked)").and(follow).waitFor();
  const place = await page.evaluate<number>("scrollY");
  answer();
  await page.getByText("301 lines, complete").waitFor({ state: "attached" });
  const later = await page.evaluate("scrollY");
  await follow.check();
  await untilBelow(page, place + 500);

  expect(before).toBe(true);
  expect(later).toBe(place);
  expect(faults()).toEqual([]);
});

/** Waits until a page is scrolled further down than this place, in pixels. */
async function untilBelow(page: Page, place: number): Promise<void> {
  while (!(await page.evaluate(`scrollY > ${place}`))) await page.locator("pre").first().waitFor();
}
