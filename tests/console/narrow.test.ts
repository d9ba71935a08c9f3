import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

const longName = "a-name-that-is-as-long-as-it-may-be-".repeat(3);
const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: longName, disk_name: "data" };

test("no screen is wider than a window of 320 pixels", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, open, call, faults } = await openConsole({ ADMIN_USERS: "developer" });
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/", { viewport: { width: 320, height: 640 } });
  const wide: string[] = [];
  for (const [path, text] of [
    ["/", longName],
    ["/new", "no GPUs"],
    [`/jobs/${job_id}`, longName],
    [`/jobs/${job_id}/logs`, "No output so far"],
    ["/disks", "in use"],
    ["/disks/data", "It has no snapshot yet"],
    ["/cluster", "GPUs are free"],
    ["/account", "this browser"],
    ["/admin", "that nothing explains"],
    ["/admin/users", "may log in"],
    ["/admin/deliveries", "No delivery waits"],
    ["/login", "This browser is logged in as"],
  ] as const) {
    await page.goto(url + path);
    await page.getByText(text).first().waitFor();
    const width = await page.evaluate("document.documentElement.scrollWidth");
    if (width !== 320) wide.push(`${path}: ${width}`);
  }

  expect(wide).toEqual([]);
  expect(faults()).toEqual([]);
});

test("an environment is ended by keyboard alone, and the focus returns to where it was", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole();
  await call("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  await page.getByRole("row", { name: /active/ }).waitFor();
  const focused = () => page.evaluate("document.activeElement.textContent");
  await page.keyboard.press("Tab");
  const first = await focused();
  for (let presses = 0; presses < 30 && (await focused()) !== "End…"; presses++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  const after = await focused();
  await page.keyboard.press("Enter");
  for (let presses = 0; presses < 10 && (await focused()) !== "End"; presses++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByText("Nothing runs or waits").waitFor();
  await expect.poll(() => page.evaluate("document.activeElement.id")).toBe("main");

  expect([first, after]).toEqual(["Skip to the content", "End…"]);
  expect(faults()).toEqual([]);
});

test("the focus in a row survives the update and the end of another row", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=2" });
  const { image, instance_type } = job;
  const submit = (name: string) => call<{ job_id: string }>("POST", "/v1/jobs/submit", { image, instance_type, name });
  await submit("stays");
  const { job_id } = await submit("ends");
  const page = await open("/");
  const ends = page.getByRole("row", { name: /^ends.*active/ });
  await ends.waitFor();
  const stays = page.getByRole("row", { name: /^stays.*active/ });
  await stays.getByRole("button", { name: "Extend…" }).focus();
  await call("POST", `/v1/jobs/${job_id}/cancel`);
  await ends.waitFor({ state: "detached" });

  expect(await stays.locator(":focus").innerText()).toBe("Extend…");
  expect(faults()).toEqual([]);
});
