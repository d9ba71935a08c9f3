import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

const longName = "a-name-that-is-as-long-as-it-may-be-".repeat(3);
const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: longName, disk_name: "data" };

test("no screen, dialog or terminal is wider than a window of 320 pixels", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, open, call, faults } = await openConsole({ ADMIN_USERS: "developer" });
  const command = `echo ${"a-word-of-a-log-without-an-end-".repeat(20)}; sleep 600`;
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...job, command });
  const page = await open("/", { viewport: { width: 320, height: 640 } });
  await page.getByRole("link", { name: "Terminal" }).waitFor();
  const wide: string[] = [];
  for (const [path, text, ...buttons] of [
    ["/", longName, "Extend…", "End…"],
    ["/new", "no GPUs"],
    [`/jobs/${job_id}`, "berth code", "Extend…", "End…", "Share…", "Start Jupyter…"],
    [`/jobs/${job_id}/logs`, "1 line"],
    [`/jobs/${job_id}/terminal`, "Connected"],
    ["/disks", "in use", "New disk…"],
    ["/disks/data", "It has no snapshot yet", "Snapshot…", "Rename…", "Delete…"],
    ["/cluster", "GPUs are free"],
    ["/account", "this browser", "Sign out…", "Revoke…"],
    ["/admin", "that nothing explains", "Pause…", "Drain…", "Drain another type…", "Declare gone…", "End…"],
    ["/admin/users", "may log in"],
    ["/admin/deliveries", "No delivery waits"],
    ["/admin/audit", "list pools"],
    ["/login", "This browser is logged in as"],
  ] as const) {
    await page.goto(url + path);
    await page.getByText(text).first().waitFor();
    wide.push(...(await listWide(page, path)));
    for (const button of buttons) {
      await page.getByRole("button", { name: button, exact: true }).first().click();
      await page.getByRole("dialog").waitFor();
      wide.push(...(await listWide(page, `${path} ${button}`)));
      await page.getByRole("button", { name: "Go back" }).click();
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
  }

  expect(wide).toEqual([]);
  expect(faults()).toEqual([]);
});

test("on a window of 4K the header and the content begin at one place, and the content is in the middle", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, open, call, faults } = await openConsole({ ADMIN_USERS: "developer" });
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/", { viewport: { width: 3840, height: 2160 } });
  const places: unknown[] = [];
  for (const [path, text] of [
    ["/", "Terminal"],
    ["/new", "no GPUs"],
    [`/jobs/${job_id}`, "berth code"],
    ["/admin", "that nothing explains"],
  ] as const) {
    await page.goto(url + path);
    await page.getByText(text).first().waitFor();
    places.push(
      await page.evaluate(`(() => {
        const edges = (element) => {
          const { left, right } = element.getBoundingClientRect();
          const { paddingLeft, paddingRight } = getComputedStyle(element);
          return [left + parseFloat(paddingLeft), innerWidth - right + parseFloat(paddingRight)];
        };
        return [...edges(document.querySelector("main")), edges(document.querySelector(".top"))[0]];
      })()`),
    );
  }

  expect(places).toEqual(Array(4).fill([1056, 1056, 1056]));
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

test("the header of a terminal stays in a window that becomes narrow", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, open, call, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...job, name: "runs" });
  const page = await open("/", { viewport: { width: 1280, height: 720 } });
  await page.getByRole("link", { name: "Terminal" }).waitFor();
  await page.goto(`${url}/jobs/${job_id}/terminal`);
  await page.getByText("Connected").waitFor();
  await page.evaluate(`{
    globalThis.headers = [];
    const look = () => {
      if (innerWidth === 320) headers.push(document.querySelector("header").offsetWidth);
      requestAnimationFrame(look);
    };
    look();
  }`);

  await page.setViewportSize({ width: 320, height: 640 });

  await expect
    .poll(() => page.evaluate("headers.length > 30 && document.querySelector('.xterm').offsetWidth <= 320"))
    .toBe(true);
  expect(new Set(await page.evaluate<number[]>("headers"))).toEqual(new Set([320]));
  expect(await listWide(page, "terminal")).toEqual([]);
  expect(faults()).toEqual([]);
});

/** Lists the page, its dialog and its log if they are wider than the window. */
async function listWide(page: Page, place: string): Promise<string[]> {
  const measured = "['html', 'dialog', '.log'].map((name) => document.querySelector(name)?.scrollWidth ?? 0)";
  const read = () => page.evaluate<number[]>(measured);
  // A terminal has 80 columns until it is fitted into its window.
  const fits = expect.poll(async () => Math.max(...(await read())), { timeout: 5_000 }).toBeLessThanOrEqual(320);
  await fits.catch(() => undefined);
  const widths = await read();
  return widths.some((width) => width > 320) ? [`${place}: ${widths}`] : [];
}
