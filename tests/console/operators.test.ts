import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" };
const operators = { ADMIN_USERS: "developer" };

test("an operator ends a job of another user, who reads the reason", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, openAsSecond, callAsSecond, faults } = await openConsole(operators);
  const { job_id } = await callAsSecond<{ job_id: string }>("POST", "/v1/jobs/submit", { ...job, name: "theirs" });
  const owners = await openAsSecond(`/jobs/${job_id}`);
  await owners.locator(".headline").getByText("active").waitFor();
  const page = await open("/admin");
  const row = page.getByRole("row", { name: /^theirs second/ });
  await row.getByRole("button", { name: "End…", exact: true }).click();
  const sure = page.getByRole("dialog").getByRole("button", { name: "End", exact: true });
  const before = await sure.isEnabled();
  await page.getByRole("dialog").getByRole("textbox", { name: "Reason" }).fill("The rack <b>moves</b> at noon");
  const accepted = page.waitForResponse((response) => response.url().endsWith(`/v1/admin/jobs/${job_id}/cancel`));
  await sure.click();
  await (await accepted).finished();
  await row.getByText("End: requested").or(page.getByText("Nothing runs or waits")).waitFor();
  expect(await page.getByText("End: done").count()).toBe(0);
  await row.waitFor({ state: "detached" });

  await owners.getByText("Cancelled by the operator: The rack <b>moves</b> at noon").first().waitFor();
  const missing = await openAsSecond("/admin");
  await missing.getByText("There is no such thing here").first().waitFor();
  expect(before).toBe(false);
  expect(await owners.getByRole("link", { name: "Operation" }).count()).toBe(0);
  expect(faults()).toEqual([]);
});

test("an operator reads the fault that a machine reports, as text alone", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole({ ...operators, LOCAL_NODES: "c7i.8xlarge=1" });
  const page = await open("/");
  // No machine of the local stack reports a fault.
  const body = await call<{ pools: { nodes: object[] }[] }>("GET", "/v1/admin/pools");
  const broken = { status: "not_ready", fault: "AcceleratedHardwareReady is False: <b>NvidiaXID79Error</b>" };
  const pools = body.pools.map((pool) => ({ ...pool, nodes: pool.nodes.map((node) => ({ ...node, ...broken })) }));
  await page.route("**/v1/admin/pools*", (route) => route.fulfill({ json: { ...body, pools } }));
  await page.getByRole("link", { name: "Operation" }).click();

  const row = page.getByRole("row", { name: /^c7i-8xlarge-1 cpu-x86/ });
  await row.getByText("AcceleratedHardwareReady is False: <b>NvidiaXID79Error</b>").waitFor();
  await row.getByText("not ready", { exact: true }).waitFor();
  expect(faults()).toEqual([]);
});

test("an operator sees who holds which machine until when, and the queue with place, share and reason", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const settings = { ...operators, LOCAL_NODES: "p5.48xlarge=1,c7i.8xlarge=1" };
  const { open, call, callAsSecond, url, faults } = await openConsole(settings);
  const whole = { ...job, instance_type: "p5.48xlarge", gpu_count: 8 };
  await callAsSecond("POST", "/v1/jobs/submit", { ...whole, name: "holds" });
  const page = await open("/admin");
  const node = page.getByRole("row", { name: /^p5-48xlarge-1 h100/ });
  await node.getByText(/second: 8 of 8 GPUs, active, .* left/).waitFor();
  await callAsSecond("POST", "/v1/jobs/submit", { ...whole, name: "again" });
  await call("POST", "/v1/jobs/submit", { ...whole, name: "first-in-line" });

  await page.getByRole("row", { name: /^h100 #[12] first-in-line developer 8 GPUs 0 % of the type/ }).waitFor();
  await page.getByRole("row", { name: /^h100 #[12] again second 8 GPUs 100 % of the type .*Need 8 H100/ }).waitFor();
  await page.getByRole("row", { name: /^h100 h100: 8 held, 0 free of 8 0 of 8 1 2 open/ }).waitFor();
  await page.getByRole("button", { name: "Drain another type…" }).click();
  await page.getByRole("dialog").getByLabel("Type").selectOption("t4");
  await page.getByRole("dialog").getByRole("textbox", { name: "Reason" }).fill("not paid for");
  await page.getByRole("dialog").getByText("berth admin drain t4 --reason 'not paid for'").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Drain another type", exact: true }).click();
  await page.getByText(/No environment of type t4 starts since .*, by developer: not paid for/).waitFor();

  await page.goto(`${url}/cluster`);
  await page.getByText("0 of 8 GPUs are free. 1 environment runs, 0 start, 2 wait.").waitFor();
  await page.goto(`${url}/new`);
  await page.getByText("no machine, and none can be made").first().waitFor();
  expect(faults()).toEqual([]);
});

test("an operator declares a machine gone, whose environment is lost, and takes that back", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole({ ...operators, LOCAL_NODES: "c7i.8xlarge=1,g4dn.2xlarge=1" });
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...job, name: "lost" });
  const page = await open("/admin");
  const machine = page.getByRole("row", { name: /^c7i-8xlarge-1 cpu-x86/ });
  await machine.getByText(/developer: 1 of 1 unit, active/).waitFor();
  await machine.getByRole("button", { name: "Declare gone…" }).click();
  const dialog = page.getByRole("dialog");
  const sure = dialog.getByRole("button", { name: "Declare gone", exact: true });
  await dialog.getByRole("textbox", { name: "Reason" }).fill("burnt");
  await dialog.getByText("berth admin node gone c7i-8xlarge-1 --reason burnt").waitFor();
  const before = await sure.isEnabled();
  await dialog.getByRole("textbox").last().fill("c7i-8xlarge-1");
  await sure.click();
  await machine.getByText("gone", { exact: true }).waitFor();
  await machine.getByRole("button", { name: "Take back…" }).click();
  await dialog.getByRole("button", { name: "Take back", exact: true }).click();
  // The next listing of the cluster, within a minute, has the machine again.
  await machine.getByText("ready", { exact: true }).waitFor({ timeout: 90_000 });

  const { status } = await call<{ status: string }>("GET", `/v1/jobs/${job_id}`);
  expect([before, status]).toEqual([false, "failed"]);
  expect(faults()).toEqual([]);
});

test("an operator drains one machine, at a time and at once, with a reason and undrains it, and the others stay open", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, faults } = await openConsole({ ...operators, LOCAL_NODES: "c7i.8xlarge=2" });
  const page = await open("/admin");
  const machine = page.getByRole("row", { name: /^c7i-8xlarge-1 cpu-x86/ });
  const dialog = page.getByRole("dialog");
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 16);
  await machine.getByRole("button", { name: "Drain…" }).click();
  await dialog.getByLabel("At", { exact: true }).fill(tomorrow);
  await dialog.getByRole("textbox", { name: "Reason" }).fill("new switch");
  await dialog.getByText(/^berth admin drain cpu-x86 --node c7i-8xlarge-1 --at \S+Z --reason 'new switch'$/).waitFor();
  await dialog.getByRole("button", { name: "Drain", exact: true }).click();
  await page
    .getByText(/Drain of cpu-x86 on c7i-8xlarge-1 planned at .*, by developer: new switch\. Until then/)
    .waitFor();
  await page.getByRole("button", { name: "Drop…" }).click();
  await dialog.getByText("berth admin undrain cpu-x86 --node c7i-8xlarge-1", { exact: true }).waitFor();
  await dialog.getByRole("button", { name: "Drop", exact: true }).click();
  await page.getByText(/c7i-8xlarge-1 planned at/).waitFor({ state: "detached" });

  await machine.getByRole("button", { name: "Drain…" }).click();
  const again = [await dialog.getByLabel("At", { exact: true }).inputValue()];
  await dialog.getByRole("textbox", { name: "Reason" }).fill("not this one");
  await dialog.getByRole("button", { name: "Go back" }).click();
  await machine.getByRole("button", { name: "Drain…" }).click();
  again.push(await dialog.getByRole("textbox", { name: "Reason" }).inputValue());
  await dialog.getByRole("textbox", { name: "Reason" }).fill("loud fan");
  await dialog
    .getByText("berth admin drain cpu-x86 --node c7i-8xlarge-1 --reason 'loud fan'", { exact: true })
    .waitFor();
  await dialog.getByRole("button", { name: "Drain", exact: true }).click();
  await machine.getByText("ready, drained", { exact: true }).waitFor();
  await page.getByText(/No environment of type cpu-x86 starts on c7i-8xlarge-1 since .*: loud fan/).waitFor();
  await page
    .getByRole("row", { name: /^c7i-8xlarge-2 cpu-x86/ })
    .getByText("ready", { exact: true })
    .waitFor();

  await page.getByRole("button", { name: "Undrain…" }).click();
  await dialog.getByText("berth admin undrain cpu-x86 --node c7i-8xlarge-1", { exact: true }).waitFor();
  await dialog.getByRole("button", { name: "Undrain", exact: true }).click();
  await machine.getByText("ready", { exact: true }).waitFor();

  expect(again).toEqual(["", ""]);
  expect(faults()).toEqual([]);
});

test("an operator disables a user, whose browser is signed out, and enables the user again", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, openAsSecond, faults } = await openConsole(operators);
  const theirs = await openAsSecond("/");
  await theirs.getByText("Nothing runs or waits").waitFor();
  const page = await open("/admin");
  await page.getByRole("navigation", { name: "Operation" }).getByRole("link", { name: "Users" }).click();
  const row = page.getByRole("row", { name: /^second/ });
  await page.getByText("berth admin users").waitFor();
  await row.getByRole("button", { name: "Disable…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("berth admin user disable second").waitFor();
  await dialog.getByRole("textbox").fill("second");
  await dialog.getByRole("button", { name: "Disable", exact: true }).click();
  await row.getByText("disabled", { exact: true }).waitFor();
  await theirs.getByText("You are signed out here").waitFor();

  await row.getByRole("button", { name: "Enable…" }).click();
  await dialog.getByRole("button", { name: "Enable", exact: true }).click();
  await row.getByText("may log in").waitFor();
  expect(
    await page
      .getByRole("row", { name: /^developer.*you$/ })
      .getByRole("button")
      .count(),
  ).toBe(0);
  expect(faults()).toEqual([]);
});
