import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" };

test("the palette finds screens, and ends an environment, by keyboard alone", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...job, name: "by-keys" });
  const page = await open("/");
  await page.getByRole("row", { name: /by-keys.*active/ }).waitFor();
  const palette = page.getByRole("dialog", { name: "Find a screen or an environment" });
  const options = palette.getByRole("option");
  const focused = () => page.evaluate("document.activeElement.textContent");

  await page.getByRole("link", { name: "Cluster" }).focus();
  await page.keyboard.press("Control+k");
  await palette.waitFor();
  await page.keyboard.press("Escape");
  await palette.waitFor({ state: "detached" });
  const after = await focused();

  await page.keyboard.press("Control+k");
  await page.keyboard.type("no such words");
  await palette.getByText("0 matches").waitFor();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("disks");
  await palette.getByText("1 match", { exact: true }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Disks" }).waitFor();

  await page.keyboard.press("Control+k");
  await page.keyboard.type("by-keys active");
  const found = await options.allInnerTexts();
  await page.keyboard.press("ArrowUp");
  const last = await options.and(page.locator("[aria-selected=true]")).innerText();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  const second = await options.and(page.locator("[aria-selected=true]")).innerText();
  await page.keyboard.press("Control+a");
  await page.keyboard.type("end by-keys");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "End by-keys" });
  await dialog.getByText("berth end by-keys").waitFor();
  for (let presses = 0; presses < 10 && (await focused()) !== "End"; presses++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.locator("#main").getByText("End: done").waitFor();

  expect(after).toBe("Cluster");
  expect(found.map((text) => text.replace(/\s*active$/, ""))).toEqual([
    "by-keys",
    "Terminal of by-keys",
    "Log of by-keys",
    "Extend by-keys",
    "End by-keys",
    "Share by-keys",
    "Start Jupyter of by-keys",
  ]);
  expect([last, second]).toEqual([expect.stringContaining("Start Jupyter"), expect.stringContaining("Terminal of")]);
  expect(page.url()).toBe(`${url}/jobs/${job_id}`);
  expect(faults()).toEqual([]);
});

test("the palette finds and carries out acts on disks and keys, and those of operators", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, callAsSecond, url, faults } = await openConsole({ ADMIN_USERS: "developer" });
  await callAsSecond("GET", "/v1/me");
  const { operation_id } = await call<{ operation_id: string }>("POST", "/v1/disks", { disk_name: "data" });
  const created = `/v1/disks/data/operations/${operation_id}`;
  await expect.poll(async () => (await call<{ status: string }>("GET", created)).status).toBe("completed");
  const page = await open("/");
  const options = page.getByRole("option");
  const find = async (words: string) => {
    await page.keyboard.press("Control+k");
    await page.getByLabel("Screen, environment or act").fill(words);
    await options.first().waitFor();
  };

  await find("data disk");
  const onDisk = await options.allInnerTexts();
  await page.getByLabel("Screen, environment or act").fill("delete data");
  await page.keyboard.press("Enter");
  const remove = page.getByRole("dialog", { name: "Delete data" });
  await remove.getByLabel("Type data to go on").fill("data");
  await remove.getByRole("button", { name: "Delete", exact: true }).click();
  await page.locator("#main").getByText("Delete: done").waitFor();
  const shownOn = page.url();

  await find("bring back data");
  await page.keyboard.press("Enter");
  const back = page.getByRole("dialog", { name: "Bring data back" });
  await back.getByRole("button", { name: "Bring back", exact: true }).click();
  await page.locator("#main").getByText("Bring back: done").waitFor();

  await find("revoke this browser");
  await page.keyboard.press("Enter");
  const revoke = page.getByRole("dialog", { name: /^Revoke / });
  await revoke.getByText("You are signed out of this browser.").waitFor();
  await revoke.getByRole("button", { name: "Go back" }).click();

  await find("disable");
  const disabled = await options.allInnerTexts();
  await page.getByLabel("Screen, environment or act").fill("drain cpu-x86");
  await page.keyboard.press("Enter");
  const drain = page.getByRole("dialog", { name: "Drain cpu-x86", exact: true });
  await drain.getByLabel("Reason").fill("A repair");
  await drain.getByRole("button", { name: "Drain", exact: true }).click();
  await page.getByText(/^No environment of type cpu-x86 starts since .*: A repair$/).waitFor();

  expect(shownOn).toBe(`${url}/disks/data`);
  expect(onDisk.map((text) => text.replace(/\s*disk$/, ""))).toEqual([
    "data",
    "Snapshot data",
    "Rename data",
    "Delete data",
  ]);
  expect(disabled.map((text) => text.replace(/\s*operator$/, ""))).toEqual(["Disable second"]);
  expect(faults()).toEqual([]);
});

test("axe finds nothing in the palette", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole({ ADMIN_USERS: "developer" });
  await call("POST", "/v1/jobs/submit", { ...job, name: "listed" });
  const page = await open("/", { viewport: { width: 320, height: 640 } });
  await page.getByRole("row", { name: /listed.*active/ }).waitFor();
  const nav = await page.getByRole("link", { name: "Operation" }).boundingBox();
  await page.getByRole("button", { name: "Find" }).click();
  const screens = await page.getByRole("option").allInnerTexts();
  const found = await violations(page);
  await page.getByLabel("Screen, environment or act").fill("nothing has these words");
  await page.getByText("0 matches").waitFor();
  found.push(...(await violations(page)));
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });

  expect(screens.map((text) => text.replace(/\s*screen$/, ""))).toEqual(
    expect.arrayContaining(["Operation", "Users", "Webhook deliveries of all users", "Audit"]),
  );
  expect((nav?.x ?? 0) + (nav?.width ?? 999)).toBeLessThanOrEqual(320);
  expect(found).toEqual([]);
  expect(faults()).toEqual([]);
});
