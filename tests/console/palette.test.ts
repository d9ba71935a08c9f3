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
  await page.keyboard.type("disk");
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

test.for(["light", "dark"] as const)("axe finds nothing in the palette in %s", async (colorScheme, { skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole({ ADMIN_USERS: "developer" });
  await call("POST", "/v1/jobs/submit", { ...job, name: "listed" });
  const page = await open("/", { colorScheme, viewport: { width: 320, height: 640 } });
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
