import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" };
const gone = "This is no longer possible: the state has changed since you opened it.";

test("an open question does not become its opposite once another operator has done the act", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, callAsSecond, url, faults } = await openConsole({ ADMIN_USERS: "developer" });
  await callAsSecond("GET", "/v1/me");
  const page = await open("/");
  const dialog = page.getByRole("dialog");
  const seen: unknown[] = [];
  for (const [screen, title, path] of [
    ["/admin", "Pause", "/v1/admin/admission/pause"],
    ["/admin/users", "Disable second", "/v1/admin/users/second/disable"],
  ] as const) {
    await page.goto(url + screen);
    await page.getByRole("button", { name: `${title.split(" ")[0]}…`, exact: true }).click();
    await dialog.getByRole("heading", { name: title, exact: true }).waitFor();
    await call("POST", path, {});
    await dialog.getByText(gone).waitFor();
    seen.push([await dialog.getByRole("heading").innerText(), await dialog.getByRole("button").allInnerTexts()]);
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "detached" });
  }

  expect(seen).toEqual([
    ["Pause", ["Go back"]],
    ["Disable second", ["Go back"]],
  ]);
  expect(faults()).toEqual([]);
});

test("an act of the palette names what is lost once its environment has started, and is withdrawn once it has ended", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole({ LOCAL_NODES: "p5.48xlarge=1" });
  const whole = { ...job, instance_type: "p5.48xlarge", gpu_count: 8 };
  const submit = async (name: string) => {
    return (await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...whole, name })).job_id;
  };
  const first = await submit("first");
  const page = await open("/");
  await page.getByRole("row", { name: /^first.*active/ }).waitFor();
  const second = await submit("second");
  await page.getByRole("row", { name: /^second.*queued #1/ }).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByLabel("Screen, environment or act").fill("end second");
  await page.getByRole("option").first().waitFor();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "End second" });
  await dialog.getByText("It leaves the queue and loses its place.").waitFor();
  await call("POST", `/v1/jobs/${first}/cancel`);
  await dialog.getByText("all its files are lost").waitFor();
  await call("POST", `/v1/jobs/${second}/cancel`);
  await dialog.getByText(gone).waitFor();
  const buttons = await dialog.getByRole("button").allInnerTexts();
  await dialog.getByRole("button", { name: "Go back" }).click();
  await dialog.waitFor({ state: "detached" });

  expect(buttons).toEqual(["Go back"]);
  expect(faults()).toEqual([]);
});

test("a question that closes because its environment has ended is announced", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...job, name: "runs" });
  const page = await open(`/jobs/${job_id}`);
  await page.getByText("berth ssh runs").waitFor();
  await collectStatuses(page);
  await page.getByRole("button", { name: "Extend…" }).click();
  await page.getByRole("dialog").waitFor();
  await call("POST", `/v1/jobs/${job_id}/cancel`);
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await expect
    .poll(() => page.evaluate("statuses.join()"))
    .toContain("Add time to runs: closed, because it is no longer possible here");

  expect(await page.evaluate("statuses.join()")).toContain(`runs (runs) is cancelled`);
  expect(faults()).toEqual([]);
});

/** Keeps each text that the live regions of a page show from now on. */
function collectStatuses(page: Page): Promise<unknown> {
  return page.evaluate(`globalThis.statuses = [];
    new MutationObserver(() => {
      for (const region of document.querySelectorAll("[role=status]")) statuses.push(region.textContent);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });`);
}
