import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: "runs", disk_name: "data" };
test("a log that was not read is not called empty, and the page says why it cannot read it", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  const { promise: isShown, resolve: answer } = Promise.withResolvers<void>();
  await page.route(`${url}/v1/jobs/${job_id}/logs?*`, async (route) => {
    await isShown;
    await route.fulfill({ status: 503, json: { detail: "Service unavailable" } });
  });
  await page.goto(`${url}/jobs/${job_id}/logs`);
  await page.getByText("Reading the log …").waitFor();
  const whileReading = await page.getByText("No output so far").or(page.getByText("0 lines")).count();
  answer();
  await page.getByText("Berth does not answer").waitFor();

  expect([whileReading, await page.getByText("No output so far").count()]).toEqual([0, 0]);
  expect(faults()).toEqual([]);
});

test("axe finds nothing in the dialogs of acts", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, callAsSecond, url, faults } = await openConsole({ ADMIN_USERS: "developer" });
  await callAsSecond("GET", "/v1/me");
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open(`/jobs/${job_id}`);
  await page.getByText("berth ssh runs").waitFor();
  const found: string[] = [];
  for (const [path, ...buttons] of [
    [`/jobs/${job_id}`, "Extend…", "End…", "Share…", "Start Jupyter…"],
    ["/disks", "New disk…"],
    ["/disks/data", "Snapshot…", "Rename…", "Delete…"],
    ["/account", "Sign out…", "Revoke…"],
    ["/admin", "Pause…", "Drain…", "Drain another type…", "Declare gone…", "End…"],
    ["/admin/users", "Disable…"],
  ] as const) {
    await page.goto(url + path);
    for (const name of buttons) {
      await page.getByRole("button", { name, exact: true }).first().click();
      await page.getByRole("dialog").waitFor();
      found.push(...(await violations(page)).map((violation) => `${path} ${name} ${violation}`));
      await page.getByRole("button", { name: "Go back" }).click();
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
  }
  await page.getByRole("button", { name: "developer ▾" }).click();
  found.push(...(await violations(page)).map((violation) => `menu ${violation}`));

  expect(found).toEqual([]);
  expect(faults()).toEqual([]);
});

test("axe finds nothing on screens that load, fail, age or lost their session", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ ADMIN_USERS: "developer" });
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  await page.getByRole("row", { name: /runs.*active/ }).waitFor();
  const found: string[] = [];
  const look = async (state: string) => {
    found.push(...(await violations(page)).map((violation) => `${state} ${violation}`));
  };
  await page.clock.install();
  await page.goto(`${url}/`);
  await page.getByRole("row", { name: /runs.*active/ }).waitFor();
  await page.route(isRead, (route) => route.abort());
  await page.clock.fastForward("00:16");
  await page.getByText(/^Seen \d+ (s|min) ago/).waitFor();
  await look("aged");
  const screens = ["/", "/new", "/disks", "/cluster", "/account", "/admin", "/admin/users", "/admin/audit"];
  for (const path of [...screens, "/admin/deliveries", "/disks/data", `/jobs/${job_id}`, `/jobs/${job_id}/logs`]) {
    await page.goto(url + path);
    await untilFailed(page);
    await look(`failed ${path}`);
  }
  await page.unroute(isRead);
  await page.route("**/v1/me", (route) => route.abort());
  await page.goto(`${url}/disks`);
  while (!(await page.getByText("Berth does not answer").isVisible())) await page.clock.runFor(500);
  await page.getByRole("main").getByRole("heading", { level: 1, name: "Your session" }).waitFor();
  await page.getByRole("navigation").getByRole("link", { name: "Cluster" }).waitFor();
  await look("failed user");
  await page.unroute("**/v1/me");
  await page.route(isRead, () => undefined);
  await page.goto(`${url}/disks`);
  await page.locator("[aria-busy=true]").first().waitFor();
  await look("loading");
  await page.unroute(isRead);
  await page.goto(`${url}/admin/nothing-is-here`);
  await page.getByText("There is no such screen").waitFor();
  await look("no such screen");
  await page.goto(`${url}/`);
  await page.getByRole("row", { name: /runs.*active/ }).waitFor();
  await endSessions(call);
  await page.clock.fastForward("00:16");
  await page.getByText("You are signed out here").waitFor();
  await look("signed out");
  await page.goto(`${url}/login#code=used`);
  await page.getByText("This code is unknown, used or expired").waitFor();
  await look("used code");

  expect(found).toEqual([]);
  expect(faults()).toEqual([]);
});

test("axe finds nothing on the pages of a login", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, issueCode, visit, faults } = await openConsole();
  const page = await visit(`/login#code=${await issueCode()}`);
  await page.getByText("Continue as developer on this computer?").waitFor();
  const found = await violations(page);
  // Chromium applies cookies of an answer below this level, so the answer is one without a cookie.
  const session = { username: "developer", expires_at: "2030-01-01T00:00:00Z" };
  await page.route(`${url}/v1/web/sessions`, (route) => route.fulfill({ json: session }));
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("This browser kept no cookie").waitFor();
  found.push(...(await violations(page)));

  expect(found).toEqual([]);
  expect(faults()).toEqual([]);
});

/** Every read but that of the user, without whom no screen shows. */
function isRead({ pathname }: URL): boolean {
  return pathname.startsWith("/v1/") && pathname !== "/v1/me";
}

/** Passes the time between the repetitions of a read until the page says that it failed. */
async function untilFailed(page: Page): Promise<void> {
  const failure = page.getByText("Berth does not answer").first();
  await page.getByRole("heading", { level: 1 }).waitFor();
  while (!(await failure.isVisible())) await page.clock.runFor(500);
}

async function endSessions(call: (method: string, path: string) => Promise<unknown>): Promise<void> {
  const { keys } = (await call("GET", "/v1/keys")) as { keys: { kind: string; key_prefix: string }[] };
  for (const { kind, key_prefix } of keys) if (kind === "web") await call("DELETE", `/v1/keys/${key_prefix}`);
}
