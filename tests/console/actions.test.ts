import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

const image = "ubuntu:24.04";

test("a job that waits moves up and starts on an open page", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole({ LOCAL_NODES: "p5.48xlarge=1" });
  const submit = async (name: string) => {
    const job = { image, instance_type: "p5.48xlarge", gpu_count: 8, name };
    return (await call<{ job_id: string }>("POST", "/v1/jobs/submit", job)).job_id;
  };
  const first = await submit("first");
  const page = await open("/");
  await page.getByRole("row", { name: /^first.*active/ }).waitFor();
  const second = await submit("second");
  await page.getByRole("row", { name: /^second.*queued #1/ }).waitFor();
  await submit("third");
  await page.getByRole("row", { name: /^third.*queued #2/ }).waitFor();
  await call("POST", `/v1/jobs/${first}/cancel`);
  await page.getByRole("row", { name: /^third.*queued #1/ }).waitFor();
  await call("POST", `/v1/jobs/${second}/cancel`);
  await page.getByRole("row", { name: /^third.*active/ }).waitFor();

  expect(faults()).toEqual([]);
});

test("a disk gets a snapshot and another name, and a new disk is made of the snapshot", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const job = { image, instance_type: "c7i.8xlarge", disk_name: "data", command: "echo kept > kept" };
  await call("POST", "/v1/jobs/submit", job);
  const page = await open("/disks/data");
  await page.getByRole("row", { name: /backup completed/ }).waitFor();
  const madeAt = await page
    .getByRole("row", { name: /backup completed/ })
    .locator("time")
    .getAttribute("datetime");
  const lastBackup = page.locator(".facts div", { hasText: "Last backup" }).locator("time");
  const backupAt = await lastBackup.getAttribute("datetime");
  await page.locator(".headline").getByText("free").waitFor();
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "Snapshot…" }).click();
  await dialog.getByText("berth disks snapshot data").waitFor();
  await dialog.getByRole("button", { name: "Snapshot", exact: true }).click();
  await page.locator(".outcome", { hasText: "Snapshot: done" }).waitFor();
  await page.getByRole("row", { name: /on demand completed/ }).waitFor();
  await page.getByRole("button", { name: "Rename…" }).click();
  await dialog.getByLabel("New name").fill("papers");
  await dialog.getByText("berth disks rename data papers").waitFor();
  await dialog.getByRole("button", { name: "Rename", exact: true }).click();
  await page.getByRole("heading", { name: "papers" }).waitFor();
  const address = page.url();
  await page
    .getByRole("row", { name: /on demand completed/ })
    .getByRole("button", { name: "Restore…" })
    .click();
  await dialog.getByText(/^berth disks restore papers papers-restored --snapshot /).waitFor();
  await dialog.getByRole("button", { name: "Restore", exact: true }).click();
  await page.locator(".outcome", { hasText: "Restore to papers-restored: done" }).waitFor();
  await page.getByRole("link", { name: "Disks" }).click();
  await page.getByRole("row", { name: /^papers-restored free/ }).waitFor();
  await page.getByRole("row", { name: /^papers free/ }).waitFor();

  expect(backupAt).toBe(madeAt);
  expect(address).toBe(`${url}/disks/papers`);
  expect(faults()).toEqual([]);
});

test("a user revokes the session of another browser, and downloads a log", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const other = await open("/");
  const page = await open("/account");
  const dialog = page.getByRole("dialog");
  await page
    .getByRole("row", { name: /^\S+ browser/ })
    .getByRole("button", { name: "Revoke…" })
    .click();
  await dialog.getByText(/^berth keys revoke /).waitFor();
  await dialog.getByRole("button", { name: "Revoke", exact: true }).click();
  await other.getByText("You are signed out here").waitFor();
  await page.getByText("In use: 1 of 5 browsers").waitFor();

  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", {
    image,
    instance_type: "c7i.8xlarge",
    command: "echo one; echo two",
  });
  await page.goto(`${url}/jobs/${job_id}/logs`);
  await page.locator("pre", { hasText: "two" }).waitFor();
  const downloaded = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download" }).click();
  const download = await downloaded;

  expect(download.suggestedFilename()).toBe(`${job_id}.log`);
  expect(readFileSync(await download.path(), "utf8")).toBe("one\ntwo\n");
  expect(faults()).toEqual([]);
});

test("an operator pauses and resumes all starts, and drains and undrains a type", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, faults } = await openConsole({ ADMIN_USERS: "developer", LOCAL_NODES: "c7i.8xlarge=1" });
  const page = await open("/admin");
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "Pause…" }).click();
  await dialog.getByRole("textbox", { name: "Reason" }).fill("new network");
  await dialog.getByText("berth admin pause --reason 'new network'").waitFor();
  await dialog.getByRole("button", { name: "Pause", exact: true }).click();
  await page.getByText(/No new environment starts since .*, by developer: new network/).waitFor();
  await page.getByRole("button", { name: "Resume…" }).click();
  await dialog.getByText("berth admin resume", { exact: true }).waitFor();
  await dialog.getByRole("button", { name: "Resume", exact: true }).click();
  await page.getByText("New environments start.").waitFor();

  const type = page.getByRole("row", { name: /^cpu-x86 .*(open|drained)/ });
  await type.getByRole("button", { name: "Drain…" }).click();
  await dialog.getByRole("textbox", { name: "Reason" }).fill("loud");
  await dialog.getByRole("button", { name: "Drain", exact: true }).click();
  await type.getByText("drained", { exact: true }).waitFor();
  await type.getByRole("button", { name: "Undrain…" }).click();
  await dialog.getByText("berth admin undrain cpu-x86", { exact: true }).waitFor();
  await dialog.getByRole("button", { name: "Undrain", exact: true }).click();
  await type.getByText("open", { exact: true }).waitFor();

  expect(faults()).toEqual([]);
});
