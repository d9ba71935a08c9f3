import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";
import { countReads } from "./reads-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: "long" };

test("a log goes on after eleven minutes without an answer, and then says that it follows again", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url } = await openConsole();
  const command = "echo first; sleep 3600";
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...job, command });
  const page = await open("/");
  await page.clock.install();
  await page.goto(`${url}/jobs/${job_id}/logs`);
  await page.locator("pre").getByText("first").waitFor();
  let refused = 0;
  await page.route(/\/logs\?/, (route) => {
    refused++;
    return route.abort();
  });
  await untilMore(page, () => refused);
  await page.clock.fastForward("11:00");
  for (let more = 0; more < 6; more++) await untilMore(page, () => refused);
  await page.getByText("1 line; Berth does not answer").waitFor();
  await page.unroute(/\/logs\?/);
  await untilText(page, "1 line");

  expect(await page.getByRole("alert").count()).toBe(0);
  expect(await page.locator("pre").textContent()).toBe("first");
});

test("a log that is opened while the stack does not answer is read once it does", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url } = await openConsole();
  const command = "echo first; sleep 3600";
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...job, command });
  const page = await open("/");
  await page.clock.install();
  let refused = 0;
  await page.route(/\/logs\?/, (route) => {
    refused++;
    return route.abort();
  });
  await page.goto(`${url}/jobs/${job_id}/logs`);
  for (let more = 0; more < 6; more++) await untilMore(page, () => refused);
  await page.getByText("Berth does not answer. This page tries again by itself.").waitFor();
  await page.unroute(/\/logs\?/);
  await untilText(page, "1 line");

  expect(await page.locator("pre").textContent()).toBe("first");
});

test("a log goes on after answers with status 429, and says meanwhile that Berth asks for a pause", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  await page.clock.install();
  const piece = { truncated: false, ended: false };
  let isBusy = true;
  await page.route(/\/logs\?/, (route) => {
    if (!route.request().url().includes("after="))
      return route.fulfill({ json: { ...piece, logs: "first\n", next: 1 } });
    if (isBusy) return route.fulfill({ status: 429, json: { detail: "Too many requests" } });
    return route.fulfill({ json: { ...piece, logs: "second\n", next: 2, ended: true } });
  });
  await page.goto(`${url}/jobs/${job_id}/logs`);
  await untilText(page, "1 line; Berth asks for a pause. This page tries again by itself.");
  isBusy = false;
  await untilText(page, "2 lines, complete");

  expect(await page.getByRole("alert").count()).toBe(0);
});

test("a screen whose first read is answered with too many requests says that it waits, and is read later", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, url } = await openConsole();
  const page = await open("/");
  await page.clock.install();
  await page.route(/\/v1\/disks(\?|$)/, (route) =>
    route.fulfill({ status: 429, json: { detail: "Too many requests" } }),
  );
  await page.goto(`${url}/disks`);
  await untilText(page, "Berth asks for a pause");
  await page.getByText("Too many requests. This page tries again by itself.").waitFor();
  await page.unroute(/\/v1\/disks(\?|$)/);
  await untilText(page, "You have no disk");
});

test("a hidden terminal connects again only while its shell lives", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, stop, startAgain } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  await page.getByRole("row", { name: /long.*active/ }).waitFor();
  await page.clock.install();
  await page.goto(`${url}/jobs/${job_id}/terminal`);
  await page.getByText("Connected").waitFor();
  let tries = 0;
  page.on("requestfailed", (request) => {
    if (request.method() === "POST" && request.url().endsWith("/terminal")) tries++;
  });
  await setVisibility(page, "hidden");
  await stop("SIGUSR2");
  for (let more = 0; more < 3; more++) await untilMore(page, () => tries);
  await page.clock.fastForward("11:00");
  await untilMore(page, () => tries, 1);
  const pass = async (steps: number) => {
    const before = tries;
    for (let n = 0; n < steps; n++) await page.clock.fastForward("00:20");
    // A request of the page comes after those that it had begun.
    await page.evaluate(`fetch("/health").catch(() => undefined)`);
    return tries - before;
  };
  // The SDK repeats the call that was under way.
  for (let n = 0; n < 10 && (await pass(1)) > 0; n++);
  const meanwhile = await pass(10);
  await startAgain();
  await setVisibility(page, "visible");
  await untilText(page, "Connected");

  expect(meanwhile).toBe(0);
});

test("an accepted act stays requested in an outage, and is done once its record says so", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, recordUrl, row, outcome, step } = await openActiveRow();
  let refused = 0;
  await page.route(recordUrl, (route) => {
    refused++;
    return route.abort();
  });
  await extend(page);
  await row.getByText("Extend: requested").waitFor();
  for (let passed = 0; passed < 180; passed += 3) await step();
  expect(refused).toBeGreaterThan(0);
  expect(await outcome.innerText()).toBe("Extend: requested");
  await page.unroute(recordUrl);
  while ((await outcome.innerText()) === "Extend: requested") await step();

  expect(await outcome.innerText()).toBe("Extend: done");
});

test("an accepted act has not failed when reads of its record do", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, recordUrl, row, outcome, step } = await openActiveRow();
  const answers = [
    { status: 500, json: { detail: "Internal error" } },
    { status: 200, contentType: "text/html", body: "<html>" },
    // A proxy refuses the request.
    { status: 403, json: { detail: "Forbidden" } },
  ];
  await page.route(recordUrl, (route) => {
    const answer = answers.shift();
    return answer ? route.fulfill(answer) : route.fallback();
  });
  await extend(page);
  await row.getByText("Extend: requested").waitFor();
  while ((await outcome.innerText()) === "Extend: requested") await step();

  expect(await outcome.innerText()).toBe("Extend: done");
  expect(answers).toEqual([]);
});

test("an accepted act whose record has dropped it has not failed", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { page, recordUrl, readRecord, row, outcome, step } = await openActiveRow();
  const record = await readRecord();
  await page.route(recordUrl, (route) => route.fulfill({ json: { ...record, actions: [{ id: 1_000_000 }] } }));
  await extend(page);
  await row.getByText("Extend: requested").waitFor();
  while ((await outcome.innerText()) === "Extend: requested") await step();

  expect(await outcome.innerText()).toBe("Extend: accepted, but its record no longer shows the outcome");
});

/** Opens the list with an active job. A step passes three seconds of the page, and waits for its reads. */
async function openActiveRow() {
  const { open, call, url } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  await page.clock.install();
  const reads = await countReads(page);
  await page.goto(`${url}/`);
  const row = page.getByRole("row", { name: /long.*active/ });
  await row.waitFor();
  const step = async () => {
    await page.clock.fastForward("00:03");
    await reads.settle();
  };
  const readRecord = () => call<object>("GET", `/v1/jobs/${job_id}`);
  return { page, recordUrl: `${url}/v1/jobs/${job_id}`, readRecord, row, outcome: row.locator(".outcome"), step };
}

test("an act is done although the page that names the newest scripts does not answer", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url } = await openConsole();
  await call("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  const row = page.getByRole("row", { name: /long.*active/ });
  await row.waitFor();
  await page.route(`${url}/`, () => undefined);
  await extend(page);

  await row.getByText("Extend: done").waitFor();
});

async function extend(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Extend…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Extend", exact: true }).click();
}

/** Lets the time of a page pass until a number has grown. */
async function untilMore(page: Page, count: () => number, atMost = Number.POSITIVE_INFINITY): Promise<void> {
  const before = count();
  for (let n = 0; count() === before && n < atMost; n++) await page.clock.fastForward("00:20");
}

/** Lets the time of a page pass until it shows a text. */
async function untilText(page: Page, text: string): Promise<void> {
  const found = page.getByText(text, { exact: true });
  while ((await found.count()) === 0) await page.clock.fastForward("00:20");
}

function setVisibility(page: Page, state: "hidden" | "visible"): Promise<unknown> {
  return page.evaluate(`Object.defineProperty(document, "visibilityState", { value: "${state}", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"))`);
}
