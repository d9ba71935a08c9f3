import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import type { components } from "../../packages/sdk/schema.ts";
import { noBrowser, openConsole } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: "runs" };

test("no time that passes is announced each second", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const page = await open("/");
  await page.clock.install();
  await page.route(`${url}/v1/jobs/estimate`, (route) => {
    const estimated_start_time = new Date(Date.now() + 25_000).toISOString();
    const json = { estimated_start_time, reason: "Need 8 H100", queue_position: 1, gpu_hours: 0, alternatives: [] };
    return route.fulfill({ json });
  });
  await page.goto(`${url}/new`);
  await page.getByText(/^In about \d+ s$/).waitFor();
  const ofForm = await countChanges(page);
  await page.goto(`${url}/disks`);
  await page.getByText("You have no disk").waitFor();
  await page.route(`${url}/v1/**`, (route) => route.abort());
  await page.clock.fastForward("00:16");
  await page.getByText(/^Seen \d+ (s|min) ago/).waitFor();
  const ofAge = await countChanges(page);

  expect([ofForm.announced, ofAge.announced]).toEqual([0, 0]);
  expect(ofForm.shown).toBeGreaterThan(3);
  expect(faults()).toEqual([]);
});

/** Counts the changed texts of some seconds, and those in live regions. */
async function countChanges(page: Page): Promise<{ readonly shown: number; readonly announced: number }> {
  await page.evaluate(`{
    globalThis.counts = { shown: 0, announced: 0 };
    new MutationObserver((mutations) => {
      for (const { target } of mutations) {
        const element = target instanceof Element ? target : target.parentElement;
        counts[element?.closest("[aria-live], [role=status]") ? "announced" : "shown"]++;
      }
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  }`);
  await page.clock.runFor(6000);
  return page.evaluate("counts");
}

test("the time left of hours moves by the minute, and at once when the page wakes", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  await call("POST", "/v1/jobs/submit", { ...job, duration_hours: 4 });
  const page = await open("/");
  await page.clock.install();
  await page.goto(url);
  const left = page.locator(".time-left");
  await left.waitFor();
  // An answer would tell the page the true time.
  await page.route(`${url}/v1/**`, (route) => route.abort());
  const before = minutes(await left.innerText());
  await page.clock.runFor(75_000);
  const later = minutes(await left.innerText());
  await page.clock.fastForward("01:00:00");
  const awake = minutes(await left.innerText());

  expect(before - later).toBeGreaterThanOrEqual(1);
  expect(later - awake).toBeGreaterThanOrEqual(59);
  expect(faults()).toEqual([]);
});

function minutes(text: string): number {
  const [, hours = "0", minutes = "0"] = /^(?:(\d+) h)? ?(?:(\d+) min)?$/.exec(text) ?? [];
  return Number(hours) * 60 + Number(minutes);
}

test("a timeline names the zone of its times, and the date of another day", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/", { timezoneId: "Asia/Tokyo", locale: "en-US" });
  const shown = await call<components["schemas"]["Job"]>("GET", `/v1/jobs/${job_id}`);
  const timeline = [
    { at: "2026-01-20T18:00:00Z", status: "queued", reason: null },
    { at: new Date().toISOString(), status: "active", reason: null },
  ];
  await page.route(`${url}/v1/jobs/${job_id}`, (route) => route.fulfill({ json: { ...shown, timeline } }));
  await page.goto(`${url}/jobs/${job_id}`);
  await page.getByRole("heading", { name: "Timeline in GMT+9" }).waitFor();
  const [first = "", second = ""] = await page.locator(".timeline time").allInnerTexts();

  expect(first).toBe("Jan 21, 03:00 GMT+9");
  expect(second).toMatch(/^\d\d:\d\d:\d\d$/);
  expect(faults()).toEqual([]);
});
