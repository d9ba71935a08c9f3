import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" };
const hostileName = "<img src=x onerror=alert(1)>\u202Egpj.exe";

test("the first rows are there before React, as text alone, and never leave the page", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ ADMIN_USERS: "developer" });
  await call("POST", "/v1/jobs/submit", { ...job, name: "runs" });
  const page = await open("/");
  const { jobs } = await call<{ jobs: object[] }>("GET", "/v1/jobs?status=queued,preparing,active");
  const json = {
    jobs: [{ ...jobs[0], job_id: "hostile", name: hostileName }, ...jobs],
    total: 2,
    limit: 500,
    offset: 0,
  };
  await page.route(/\/v1\/jobs\?/, (route) => route.fulfill({ json }));
  const release = await hold(page, /\/assets\/main-/);
  await page.addInitScript({ content: watchRows });
  await page.goto(url, { waitUntil: "commit" });
  await page.getByRole("row", { name: /^runs.*c7i\.8xlarge/ }).waitFor();
  const nameBefore = await page.locator("tbody a").first().textContent();
  const linksBefore = await page.getByRole("link").allTextContents();
  const faultsBefore = await violations(page);
  release();
  await page.getByRole("row", { name: /^runs/ }).getByRole("button", { name: "Extend…" }).waitFor();

  expect(nameBefore).toBe("<img src=x onerror=alert(1)>\uFFFDgpj.exe");
  expect(linksBefore).toContain("Operation");
  expect(faultsBefore).toEqual([]);
  expect(await page.getByRole("table").count()).toBe(1);
  expect(await page.getByRole("banner").count()).toBe(1);
  expect(await page.evaluate("lostRows")).toBe(false);
  expect(faults()).toEqual([]);
});

test("a link of the first rows keeps the focus when React replaces them, and the skip link works before", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  await call("POST", "/v1/jobs/submit", { ...job, name: "runs" });
  const page = await open("/");
  const focused = () => page.evaluate("document.activeElement.id || document.activeElement.textContent");
  const results: unknown[] = [];
  for (const focus of [
    () => page.getByRole("link", { name: "runs" }).focus(),
    () => page.getByRole("link", { name: "Disks" }).focus(),
    () => page.getByRole("link", { name: "Skip to the content" }).press("Enter"),
  ]) {
    const release = await hold(page, /\/assets\/main-/);
    await page.goto(url, { waitUntil: "commit" });
    await page.getByRole("row", { name: /^runs/ }).waitFor();
    await focus();
    const before = await focused();
    release();
    await page.getByRole("button", { name: "End…", exact: true }).waitFor();
    results.push([before, await focused()]);
  }

  expect(results).toEqual(["runs", "Disks", "main"].map((name) => [name, name]));
  expect(faults()).toEqual([]);
});

test.for([
  ["below the first rows", 1],
  ["alone", 0],
] as const)(
  "a script that does not load shows as a failure %s, with a button that loads again",
  async ([, count], { skip }) => {
    skip(noBrowser !== undefined, noBrowser);
    const { open, call, url, faults } = await openConsole();
    if (count > 0) await call("POST", "/v1/jobs/submit", { ...job, name: "runs" });
    const page = await open("/");
    const { promise: isDrawn, resolve: abort } = Promise.withResolvers<void>();
    await page.route(/\/assets\/main-/, (route) => isDrawn.then(() => route.abort()));
    await page.goto(url, { waitUntil: "commit" });
    if (count > 0) await page.getByRole("row", { name: /^runs/ }).waitFor();
    abort();
    await page.getByText("This page did not load").waitFor();
    const rows = await page.getByRole("row", { name: /^runs/ }).count();
    const busy = await page.locator("[aria-busy]").count();
    const found = await violations(page);
    await page.unroute(/\/assets\/main-/);
    await page.getByRole("button", { name: "Load it again" }).click();
    await page.getByRole("link", { name: "New environment" }).first().waitFor();

    expect([rows, busy, found]).toEqual([count, 0, []]);
    expect(await page.getByText("This page did not load").count()).toBe(0);
    expect(faults()).toEqual([]);
  },
);

test("the page does not wait for a list that takes long", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  await call("POST", "/v1/jobs/submit", { ...job, name: "runs" });
  const page = await open("/");
  const release = await hold(page, /\/v1\/jobs\?/);
  await page.goto(url, { waitUntil: "commit" });
  await page.getByRole("link", { name: "New environment" }).waitFor();
  const before = await page.getByText("Loading").count();
  release();
  await page.getByRole("row", { name: /^runs/ }).getByRole("button", { name: "End…", exact: true }).waitFor();

  expect(before).toBe(1);
  expect(faults()).toEqual([]);
});

/** Runs in each page: notes whether its rows leave it. */
const watchRows = `
let hasRows = false;
globalThis.lostRows = false;
new MutationObserver(() => {
  const count = document.querySelectorAll("tbody tr").length;
  if (hasRows && count === 0) globalThis.lostRows = true;
  hasRows ||= count > 0;
}).observe(document, { subtree: true, childList: true });
`;

/** Holds the requests of an address back until the returned function is called. */
async function hold(page: Page, address: RegExp): Promise<() => void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  await page.route(address, async (route) => {
    await promise;
    await route.continue();
  });
  return resolve;
}
