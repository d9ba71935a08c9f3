import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

const whole = { image: "ubuntu:24.04", instance_type: "p5.48xlarge", gpu_count: 8 };

test("an open page shows how the estimate moves, and so does the form of a new environment", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ LOCAL_NODES: "p5.48xlarge=1" });
  const holds = { ...whole, name: "holds", duration_hours: 2 };
  const { job_id: holder } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", holds);
  const page = await open("/");
  await page.getByRole("row", { name: /^holds.*active/ }).waitFor();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...whole, name: "waits" });
  const hoursToStart = async () => {
    const { estimated_start_time } = await call<{ estimated_start_time: string | null }>("GET", `/v1/jobs/${job_id}`);
    return (Date.parse(estimated_start_time ?? "") - Date.now()) / 3_600_000;
  };
  await expect.poll(hoursToStart).toBeGreaterThan(1);
  await page.clock.install();
  await page.goto(`${url}/jobs/${job_id}`);
  const form = await page.context().newPage();
  await form.goto(`${url}/new`);
  await form.getByRole("radio", { name: /^h100 p5\.48xlarge 0 of 8 free, 8 wanted/ }).check();
  const estimate = form.locator(".headline");
  await estimate.getByText(/^In about (2 h \d+ min|3 h)/).waitFor();
  await page.bringToFront();
  await page.getByText(/^starts in about (1 h \d+ min|2 h)/).waitFor();
  const moved = page.getByRole("heading", { name: "How the estimate moved" });
  const early = await moved.count();

  await call("POST", `/v1/jobs/${holder}/extend`, { extension_hours: 3 });
  await expect.poll(hoursToStart).toBeGreaterThan(4);
  // Longer than the longest time between two reads.
  await page.clock.fastForward("00:19");
  await page.getByText(/^starts in about (4 h \d+ min|5 h)/).waitFor();
  await moved.waitFor();
  await form.bringToFront();
  await estimate.getByText(/^In about (5 h \d+ min|6 h)/).waitFor();

  expect(early).toBe(0);
  expect(await moved.locator("xpath=following-sibling::ol[1]/li").count()).toBe(2);
  expect(faults()).toEqual([]);
});

test("the form shows the largest block of a type, and its reason once an operator closes it", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole({ ADMIN_USERS: "developer", LOCAL_NODES: "p5.48xlarge=2" });
  // The third job does not fit beside the others.
  for (const gpu_count of [4, 2, 4]) await call("POST", "/v1/jobs/submit", { ...whole, gpu_count });
  const page = await open("/new");
  const choice = page.getByRole("radio", { name: /^h100/ }).locator("xpath=..");
  await choice.getByText("6 of 16 free, at most 4 together").waitFor();

  await call("POST", "/v1/admin/pools/h100/drain", { reason: "new cooling" });
  const closed = "No new H100 jobs are started at the moment: drained by the operator";
  await choice.getByText(closed).waitFor({ timeout: 60_000 });
  await choice.click();
  await page.locator(".why", { hasText: closed }).waitFor();

  expect(faults()).toEqual([]);
});

test("a session that expires under open pages says so on each, and a page that is opened leads to the login", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, url, faults } = await openConsole();
  const page = await open("/");
  const cluster = await page.context().newPage();
  await cluster.goto(`${url}/cluster`);
  await cluster.getByText("GPUs are free").waitFor();
  // No session of a stack ends within an hour of its login, so the answers are those of an expired key.
  await page.context().route(`${url}/v1/**`, (route) => {
    const headers = { "berth-error": "key_expired" };
    return route.fulfill({ status: 401, headers, json: { detail: "API key has expired" } });
  });
  for (const opened of [cluster, page]) {
    await opened.bringToFront();
    await opened.getByText("You are signed out here").first().waitFor();
    await opened.getByText("This browser's session has expired. Sign in again from your terminal:").first().waitFor();
    await opened.getByText("berth web").first().waitFor();
  }
  await page.goto(url);
  await page.getByText(/^This browser's session has expired\./).waitFor();

  expect(page.url()).toBe(`${url}/login`);
  expect(faults()).toEqual([]);
});
