import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";
import { countReads, setVisibility } from "./reads-fixture.ts";

const whole = { image: "ubuntu:24.04", instance_type: "p5.48xlarge", gpu_count: 8, name: "runs" };

test("tabs that are shown long after their session has ended say so, and keep their screens and a form", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", whole);
  const list = await open("/");
  await list.getByRole("row", { name: /^runs.*active/ }).waitFor();
  const context = list.context();
  await context.clock.install();
  const [form, job] = [await context.newPage(), await context.newPage()];
  await form.goto(`${url}/new`);
  await form.getByRole("radio", { name: /^h100/ }).check();
  await form.getByLabel("Name", { exact: true }).fill("half-typed");
  await job.goto(`${url}/jobs/${job_id}`);
  await job.getByText("berth ssh runs").waitFor();
  const tabs = [list, form, job];
  for (const tab of tabs) await setVisibility(tab, "hidden");
  // No session of a stack ends within an hour of its login, so the answers are those of an expired key.
  await context.route(`${url}/v1/**`, (route) => {
    const headers = { "berth-error": "key_expired" };
    return route.fulfill({ status: 401, headers, json: { detail: "API key has expired" } });
  });
  await context.clock.fastForward("10:00");
  for (const tab of tabs) {
    const reread = tab.waitForResponse(`${url}/v1/me`);
    await setVisibility(tab, "visible");
    await reread;
    await tab.getByText("You are signed out here").first().waitFor();
  }

  expect(await form.getByLabel("Name", { exact: true }).inputValue()).toBe("half-typed");
  expect(await form.getByRole("radio", { name: /^h100/ }).isChecked()).toBe(true);
  expect(await list.getByRole("row", { name: /^runs.*active/ }).count()).toBe(1);
  expect(await job.getByText("berth ssh runs").count()).toBe(1);
  expect(tabs.map((tab) => new URL(tab.url()).pathname)).toEqual(["/", "/new", `/jobs/${job_id}`]);
  expect(faults()).toEqual([]);
});

test("the GPU-hours of an open page grow while nothing else of the job changes", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ LOCAL_NODES: "p5.48xlarge=1" });
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", whole);
  const page = await open("/");
  await page.getByRole("row", { name: /^runs.*active/ }).waitFor();
  await page.clock.install();
  const reads = await countReads(page);
  await page.goto(`${url}/jobs/${job_id}`);
  const fact = page.locator("dt", { hasText: "GPU-hours" }).locator("xpath=following-sibling::dd[1]");
  const early = Number(await fact.innerText());
  const readHours = async () => (await call<{ gpu_hours: number }>("GET", `/v1/jobs/${job_id}`)).gpu_hours;
  await expect.poll(readHours, { timeout: 60_000 }).toBeGreaterThan(early + 0.02);
  await passSeconds(page, 90, reads.settle);

  await expect.poll(async () => Number(await fact.innerText())).toBeGreaterThan(early + 0.02);
  expect(faults()).toEqual([]);
});

test("an estimate that moves is shown, and does not make its list be read more often", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, url, faults } = await openConsole();
  const page = await open("/");
  await page.clock.install();
  const reads = await countReads(page);
  let requestCount = 0;
  let hours = 2;
  // The entity tag of the API leaves the estimate out.
  await page.route(`${url}/v1/environments?*`, (route) => {
    requestCount++;
    const headers = { etag: '"same"' };
    if (route.request().headers()["if-none-match"] !== undefined) return route.fulfill({ status: 304, headers });
    hours++;
    const environments = [waitingEnvironment(hours)];
    return route.fulfill({ headers, json: { environments, limit: 500, offset: 0, total: 1 } });
  });
  await page.goto(url);
  const row = page.getByRole("row", { name: /^waits made through novita/ });
  const early = await row.getByText(/^starts in about/).innerText();
  requestCount = 0;
  await passSeconds(page, 300, reads.settle);

  expect(early).toMatch(/about (2 h \d+ min|3 h)/);
  await row.getByText(new RegExp(`^starts in about (${hours - 1} h \\d+ min|${hours} h)$`)).waitFor();
  expect(hours).toBeGreaterThan(5);
  // If each move made the next read come after a second, there would be more than 30.
  expect(requestCount).toBeLessThan(28);
  expect(faults()).toEqual([]);
});

function waitingEnvironment(hours: number) {
  return {
    id: "waits",
    api: "novita",
    name: "waits",
    phase: "queued",
    reason: null,
    gpu_type: "l4",
    gpu_count: 1,
    queue_position: 1,
    estimated_start_time: new Date(Date.now() + hours * 3_600_000).toISOString(),
    disk_name: null,
    created_at: "2026-01-20T18:00:00Z",
    expires_at: null,
    ended_at: null,
    links: { self: "/x", page: null },
  };
}

test("a screen is called old only once an answer is overdue, not when it is opened or shown again", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  await call("POST", "/v1/disks", { disk_name: "data" });
  const page = await open("/");
  await page.clock.install();
  const reads = await countReads(page);
  const answers = await holdAnswers(page, `${url}/v1/**`);
  await page.goto(`${url}/disks`);
  const disk = page.getByRole("row", { name: /^data/ });
  await disk.waitFor();
  await page.getByRole("link", { name: "Cluster" }).click();
  await page.getByText("GPUs are free").waitFor();
  await passSeconds(page, 60, reads.settle);
  const old = page.locator(".stale");
  const seen: string[] = [];
  const look = async (moment: string) => {
    await passSeconds(page, 4);
    seen.push(...(await old.allInnerTexts()).map((text) => `${moment}: ${text}`));
  };

  answers.hold();
  await page.getByRole("link", { name: "Account" }).click();
  await page.getByRole("heading", { name: "Account" }).waitFor();
  await look("user read a minute ago");
  await page.getByRole("link", { name: "Disks" }).click();
  await disk.waitFor();
  await look("disks read a minute ago");
  answers.release();
  await reads.settle();
  await setVisibility(page, "hidden");
  await page.clock.fastForward("03:00:00");
  answers.hold();
  await setVisibility(page, "visible");
  await look("shown after three hours");
  answers.release();
  await reads.settle();
  answers.hold();
  await page.clock.fastForward("03:00:00");
  await look("woken after three hours");
  while ((await old.count()) === 0) await page.clock.fastForward(2_000);

  expect(await old.innerText()).toMatch(/^Seen 3 h( \d min)? ago\. Berth has not answered since\.$/);
  expect(seen).toEqual([]);
  expect(faults()).toEqual([]);
});

/** Lets time pass in steps that a page takes for an uninterrupted clock. */
async function passSeconds(page: Page, seconds: number, afterStep?: () => Promise<unknown>): Promise<void> {
  for (let second = 0; second < seconds; second += 2) {
    await page.clock.fastForward(2_000);
    await afterStep?.();
  }
}

/** Lets a test keep the answers to a page's requests back. */
async function holdAnswers(page: Page, url: string) {
  let gate = Promise.resolve();
  let release = () => {};
  await page.route(url, async (route) => {
    await gate;
    // The page may have given the request up.
    await route.continue().catch(() => undefined);
  });
  return {
    hold() {
      ({ promise: gate, resolve: release } = Promise.withResolvers<void>());
    },
    release: () => release(),
  };
}
