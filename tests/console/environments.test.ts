import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" };

test("the list shows a job from its start to its end, and what was requested of it", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole();
  const page = await open("/");
  await page.getByText("Nothing runs or waits").waitFor();

  await call("POST", "/v1/jobs/submit", { ...job, name: "first", command: "sleep 600" });
  const row = page.getByRole("row", { name: /first/ });
  await row.getByText("active").waitFor();

  await row.getByRole("button", { name: "Extend…" }).click();
  await page.getByRole("dialog").getByLabel("Add").fill("90m");
  await page.getByText("berth extend first 90m").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Extend", exact: true }).click();
  await row.getByText("Extend: requested").waitFor();
  await row.getByText("Extend: done").waitFor();
  await row.getByText(/2 h (29|30) min left/).waitFor();

  await row.getByRole("button", { name: "End…", exact: true }).click();
  await page.getByText("all its files are lost").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "End", exact: true }).click();
  await page.getByText("Nothing runs or waits").waitFor();
  await page.getByText("Ended environments").click();
  await page.getByRole("row", { name: /first.*cancelled/ }).waitFor();

  expect(faults()).toEqual([]);
});

test("a name of markup and turned text is shown as text alone", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole();
  const name = "<img src=x onerror=document.title='owned'><b>bold</b>";
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", {
    ...job,
    name,
    command: "printf '<script>document.title=1</script>\\u202Egnirts\\033]0;title\\007'",
  });
  const list = await open("/");
  await list.getByText("Ended environments").click();
  // Until its next poll, the list of others still has the environment too.
  await list.getByRole("group").getByRole("link", { name }).waitFor();
  const log = await open(`/jobs/${job_id}/logs`);
  await log.getByText("<script>document.title=1</script>").waitFor();

  expect(await list.locator("main img, main b").count()).toBe(0);
  expect(await log.locator("pre").textContent()).not.toContain("\u202E");
  expect(faults()).toEqual([]);
});

test("axe finds nothing on the screens of an environment", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", {
    ...job,
    name: "prints",
    command: "echo hello; sleep 600",
  });
  const page = await open("/");
  const found: string[] = [];
  for (const [path, text] of [
    ["/", "active"],
    [`/jobs/${job_id}`, "berth ssh prints"],
    [`/jobs/${job_id}/logs`, "hello"],
    [`/jobs/${job_id}/terminal`, "Connected"],
    ["/login", "This browser is logged in as"],
  ] as const) {
    await page.goto(url + path);
    await page.getByText(text).first().waitFor();
    found.push(...(await violations(page)).map((violation) => `${path} ${violation}`));
  }

  expect(found).toEqual([]);
  expect(faults()).toEqual([]);
});
