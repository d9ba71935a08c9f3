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

test("a log that loses its first lines leaves the text that people read where it is", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, add, faults } = await openLog();
  await add(3_900_000);
  await untilBelow(page, 1_000);
  await page.mouse.move(400, 400);
  await page.mouse.wheel(0, -1000);
  await page.locator("input:not(:checked)").and(page.getByLabel("Follow")).waitFor();
  await page.evaluate("new Promise(requestAnimationFrame)");
  const read = [await readLine(page)];
  for (const characters of [200_000, 11_000_000, 2_000_000]) {
    await add(characters);
    read.push(await readLine(page));
  }
  const log = await page.locator(".log").evaluate(({ textContent }) => textContent);

  expect(read[0]).toMatch(/^line \d+ /);
  expect(read).toEqual(Array(4).fill(read[0]));
  expect(log.length).toBeLessThan(16_000_000);
  expect(log).toMatch(/^line [1-9]\d* x+\n/);
  expect(faults()).toEqual([]);
});

test("a log that loses its first lines goes on to follow", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, add, faults } = await openLog();
  await add(3_900_000);
  for (let n = 0; n < 20; n += 1) await add(50_000);
  const log = await page.locator(".log").evaluate(({ textContent }) => textContent);
  const below = await page.evaluate("document.querySelector('.log').getBoundingClientRect().bottom - innerHeight");

  expect(await page.getByLabel("Follow").isChecked()).toBe(true);
  expect(below).toBeLessThan(1);
  expect(log.length).toBeLessThan(4_000_000);
  expect(log).toMatch(/^line [1-9]\d* x+\n/);
  expect(faults()).toEqual([]);
});

/** Opens the log of a job. A test adds numbered lines of 113 characters to it. */
async function openLog() {
  const { open, call, url, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  const pieces: string[] = [];
  let wake = Promise.withResolvers<void>();
  await page.route(/\/logs\?/, async (route) => {
    const next = Number(new URL(route.request().url()).searchParams.get("after") ?? 0);
    while (pieces.length === next) await wake.promise;
    await route.fulfill({ json: { logs: pieces[next], next: next + 1, truncated: false, ended: false } });
  });
  await page.goto(`${url}/jobs/${job_id}/logs`);
  let count = 0;
  const add = async (characters: number) => {
    const lines = Array.from({ length: characters / 113 }, (_, n) => `line ${count + n} `.padEnd(112, "x"));
    count += lines.length;
    pieces.push(`${lines.join("\n")}\n`);
    wake.resolve();
    wake = Promise.withResolvers<void>();
    await page.locator("pre", { hasText: `line ${count - 1} ` }).waitFor({ state: "attached" });
    await page.evaluate("new Promise(requestAnimationFrame)");
  };
  return { page, add, faults };
}

/** Returns the line of the log at a fixed place of the window. */
function readLine(page: Page): Promise<string> {
  return page.evaluate(String.raw`(() => {
    const { startContainer, startOffset } = document.caretRangeFromPoint(400, 400);
    const text = startContainer.textContent;
    const start = text.lastIndexOf("\n", startOffset - 1) + 1;
    return text.slice(start).split("\n", 1)[0];
  })()`);
}

/** Waits until a page is scrolled further down than this place, in pixels. */
async function untilBelow(page: Page, place: number): Promise<void> {
  while (!(await page.evaluate(`scrollY > ${place}`))) await page.locator("pre").first().waitFor();
}
