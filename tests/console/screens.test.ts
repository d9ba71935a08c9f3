import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";
import { setVisibility } from "./reads-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" };

test("a form shows the estimate and the same line, and leads to the page of the new environment", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, faults } = await openConsole();
  const page = await open("/new");
  await page
    .getByText("Would start now")
    .or(page.getByText("Now", { exact: true }))
    .first()
    .waitFor();
  await page.getByLabel("Name", { exact: true }).fill("made-here");
  await page.getByLabel("Disk", { exact: true }).fill("papers");
  await page.getByText("There is none of this name: it is made").waitFor();
  await page.getByLabel("Command").fill('echo "it\'s made"; sleep 600');
  await expect
    .poll(() => page.locator("#main .command code").innerText())
    .toBe("berth up made-here --type cpu-x86 --hours 1h --disk papers -- 'echo \"it'\\''s made\"; sleep 600'");

  await page.getByRole("button", { name: "Start it" }).click();
  await page.getByRole("heading", { name: "made-here" }).waitFor();
  await page.getByText("berth ssh made-here").waitFor();
  await page.getByRole("link", { name: "Log" }).click();
  await page.getByText("it's made").waitFor();
  await page.getByRole("heading", { name: "Log of made-here" }).waitFor();

  expect(faults()).toEqual([]);
});

test("a disk is made, deleted only by its typed name, and brought back", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, faults } = await openConsole();
  const page = await open("/disks");
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "New disk…" }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("data");
  await dialog.getByText("berth disks create data --size 100").waitFor();
  await dialog.getByRole("button", { name: "New disk", exact: true }).click();
  await page.getByRole("link", { name: "data" }).click();

  await page.getByRole("button", { name: "Delete…" }).click();
  const sure = dialog.getByRole("button", { name: "Delete", exact: true });
  const before = await sure.isEnabled();
  await dialog.getByText("After that they are lost").waitFor();
  await dialog.getByRole("textbox").fill("data");
  await sure.click();
  await page.locator(".outcome", { hasText: "Delete: done" }).waitFor();
  await page.getByRole("button", { name: "Bring back…" }).click();
  await dialog.getByRole("button", { name: "Bring back", exact: true }).click();
  await page.getByRole("button", { name: "Rename…" }).waitFor();

  expect(before).toBe(false);
  expect(faults()).toEqual([]);
});

test("an operator closes a type with a reason, which the audit shows", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, faults } = await openConsole({ ADMIN_USERS: "developer" });
  const page = await open("/admin");
  const row = page.getByRole("row", { name: /^h100/ });
  await row.getByRole("button", { name: "Drain…" }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill("new cooling");
  await page.getByRole("dialog").getByRole("button", { name: "Drain", exact: true }).click();
  await row.getByRole("button", { name: "Undrain…" }).waitFor();
  await page.getByText(/No environment of type h100 starts.*new cooling/).waitFor();
  await page.getByRole("link", { name: "Audit" }).click();
  await page.getByRole("row", { name: /developer.*drain pool.*h100/ }).waitFor();

  expect(faults()).toEqual([]);
});

test("a page of a stack that stops says how old it is", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, stop } = await openConsole();
  await call("POST", "/v1/jobs/submit", { ...job, name: "stays" });
  const page = await open("/");
  await page.getByRole("row", { name: /stays.*active/ }).waitFor();
  await stop();

  await page.getByText(/^Seen \d+ .* ago\./).waitFor({ timeout: 90_000 });
  expect(await page.getByRole("row", { name: /stays/ }).count()).toBe(1);
});

test("no log is read while its page is hidden, and the log goes on without a gap", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  const command = "for n in $(seq 600); do echo tick $n; sleep 0.5; done";
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...job, command });
  const page = await open("/");
  let reads = 0;
  page.on("request", (request) => {
    if (request.url().includes("/logs?")) reads++;
  });
  await page.goto(`${url}/jobs/${job_id}/logs`);
  await page.locator("pre").getByText("tick 2").waitFor();
  await setVisibility(page, "hidden");
  const before = reads;
  // Each read of a visible page ends with the next line, after half a second.
  const { logs } = await call<{ logs: string }>("GET", `/v1/jobs/${job_id}/logs`);
  const later = logs.trimEnd().split("\n").length + 8;
  await expect
    .poll(async () => (await call<{ logs: string }>("GET", `/v1/jobs/${job_id}/logs`)).logs)
    .toContain(`tick ${later}\n`);
  const meanwhile = reads - before;
  await setVisibility(page, "visible");
  await page.locator("pre", { hasText: `tick ${later}` }).waitFor();
  const ticks = ((await page.locator("pre").textContent()) ?? "").trimEnd().split("\n");

  expect(meanwhile).toBeLessThanOrEqual(1);
  expect(ticks).toEqual(ticks.map((_, n) => `tick ${n + 1}`));
  expect(faults()).toEqual([]);
});

test("an open page offers a reload once the deployment has another main script", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, url, faults } = await openConsole();
  const page = await open("/");
  await page.clock.install();
  await page.goto(`${url}/disks`);
  await page.getByText("You have no disk").waitFor();
  await Promise.all([page.waitForResponse(`${url}/`), page.clock.fastForward("06:00")]);
  const before = await page.getByText("Berth was updated").count();
  const html = await page.evaluate(async () => (await fetch("/", { headers: { accept: "text/html" } })).text());
  const body = html.replace(/main-\w{8}\.js/, "main-OTHERONE.js");
  await page.route(`${url}/`, (route) => route.fulfill({ contentType: "text/html", body }));
  await page.clock.fastForward("06:00");
  await page.getByRole("button", { name: "Reload this page" }).waitFor();

  expect(before).toBe(0);
  expect(faults()).toEqual([]);
});

test("axe finds nothing on the other screens", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults, url } = await openConsole({ ADMIN_USERS: "developer" });
  await call("POST", "/v1/jobs/submit", { ...job, name: "runs", disk_name: "data" });
  const page = await open("/");
  const found: string[] = [];
  for (const [path, text] of [
    ["/new", "no GPUs"],
    ["/disks", "in use"],
    ["/disks/data", "It has no snapshot yet"],
    ["/cluster", "GPUs are free"],
    ["/account", "In use: 1 of 5 browsers and 1 of 10 keys."],
    ["/admin", "that nothing explains"],
    ["/admin/users", "may log in"],
    ["/admin/deliveries", "No delivery waits"],
    ["/admin/audit", "list pools"],
    ["/jobs/00000000", "There is no such thing here"],
  ] as const) {
    await page.goto(url + path);
    await page.getByText(text).first().waitFor();
    found.push(...(await violations(page)).map((violation) => `${path} ${violation}`));
  }
  await page.goto(`${url}/`);
  await page.getByRole("button", { name: "End…", exact: true }).click();
  found.push(...(await violations(page)).map((violation) => `dialog ${violation}`));

  expect(found).toEqual([]);
  expect(faults()).toEqual([]);
});
