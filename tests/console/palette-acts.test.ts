import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" };

test("the palette restores a disk, sends a webhook again, and signs out", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const receiver = createServer((_, response) => response.end());
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  onTestFinished(() => void receiver.close());
  const webhook_url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
  const command = "echo kept > kept";
  await call("POST", "/v1/jobs/submit", { ...job, name: "hooked", disk_name: "data", command, webhook_url });
  const page = await open("/disks/data");
  await page.getByRole("row", { name: /backup completed/ }).waitFor();
  await page.locator(".headline").getByText("free").waitFor();
  const dialog = page.getByRole("dialog");

  await find(page, "restore data");
  await page.keyboard.press("Enter");
  await dialog.getByText(/^berth disks restore data data-restored --snapshot \S+$/).waitFor();
  await dialog.getByText(/^The new disk holds the files of/).waitFor();
  await dialog.getByRole("button", { name: "Restore", exact: true }).click();
  await page.locator("#main").getByText("Restore to data-restored: done").waitFor();

  await find(page, "resend active of hooked delivered");
  await page.keyboard.press("Enter");
  await dialog.getByText(/^berth api POST \/v1\/webhooks\/deliveries\/\S+\/resend$/).waitFor();
  await dialog.getByRole("button", { name: "Resend", exact: true }).click();
  await page.getByRole("row", { name: /^hooked active.*Resend: done/ }).waitFor();

  await page.route(`${url}/v1/web/sessions`, (route) => route.abort());
  await find(page, "sign out");
  await page.keyboard.press("Enter");
  await dialog.getByText(/^berth keys revoke \S+$/).waitFor();
  await dialog.getByRole("button", { name: "Sign out", exact: true }).click();
  await page
    .locator("#main")
    .getByText(/^Sign out failed: /)
    .waitFor();
  await page.unroute(`${url}/v1/web/sessions`);
  await find(page, "sign out");
  await page.keyboard.press("Enter");
  await dialog.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.getByText("This browser has no session.").waitFor();

  expect(page.url()).toBe(`${url}/login`);
  expect(faults()).toEqual([]);
});

test("the palette drains a type without machines, and undrains zones, groups, machines and planned drains", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const settings = { ADMIN_USERS: "developer", LOCAL_NODES: "c7i.8xlarge=1" };
  const { open, call, faults } = await openConsole(settings);
  const page = await open("/admin");
  await page.getByRole("row", { name: /^c7i-8xlarge-1 cpu-x86/ }).waitFor();
  const { pools } = await call<Pools>("GET", "/v1/admin/pools");
  const zone = pools.find(({ gpu_type }) => gpu_type === "cpu-x86")?.nodes[0]?.zone ?? "";
  const at = new Date(Date.now() + 86_400_000).toISOString().replace(/\.\d+Z$/, "Z");
  const drain = (part: object) => call("POST", "/v1/admin/pools/cpu-x86/drain", part);
  await drain({ zone });
  await drain({ node: "c7i-8xlarge-1" });
  await drain({ at });
  await page.getByText(/starts on c7i-8xlarge-1 since/).waitFor();
  const dialog = page.getByRole("dialog");
  for (const [words, button, line, gone] of [
    [`undrain cpu-x86 in zone ${zone}`, "Undrain", ` --zone ${zone}`, "starts in zone"],
    ["undrain cpu-x86 on c7i-8xlarge-1", "Undrain", " --node c7i-8xlarge-1", "starts on c7i-8xlarge-1"],
    ["drop the drain of cpu-x86", "Drop", "", "planned at"],
  ] as const) {
    await find(page, words);
    await page.keyboard.press("Enter");
    await dialog.getByText(`berth admin undrain cpu-x86${line}`, { exact: true }).waitFor();
    await dialog.getByRole("button", { name: button, exact: true }).click();
    await page.locator("#main").getByText(gone).waitFor({ state: "detached" });
  }

  // No machine of a local stack is of a node group.
  const body = await call<Pools>("GET", "/v1/admin/pools");
  const part = { zone: null, node_group: "p5-a", node: null, since: null, by: null, reason: null };
  const drained = body.pools.map((pool) => ({ ...pool, drained_parts: [part] }));
  await page.route("**/v1/admin/pools*", (route) => route.fulfill({ json: { ...body, pools: drained } }));
  await page.getByText("No environment of type cpu-x86 starts on machines of node group p5-a").waitFor();
  await find(page, "undrain cpu-x86 node group p5-a");
  await page.keyboard.press("Enter");
  await dialog.getByText("berth admin undrain cpu-x86 --node-group p5-a", { exact: true }).waitFor();
  await dialog.getByRole("button", { name: "Go back" }).click();
  await page.unroute("**/v1/admin/pools*");

  await find(page, "drain t4");
  const found = await page.getByRole("option").allInnerTexts();
  await page.keyboard.press("Enter");
  await dialog.getByLabel("Reason").fill("not paid for");
  await dialog.getByText("berth admin drain t4 --reason 'not paid for'").waitFor();
  await dialog.getByRole("button", { name: "Drain another type", exact: true }).click();
  await page.getByText(/^No environment of type t4 starts since .*: not paid for$/).waitFor();

  expect(found.map((text) => text.replace(/\s*operator$/, ""))).toEqual(["Drain t4", "Drain t4-small"]);
  expect(faults()).toEqual([]);
});

interface Pools {
  readonly pools: readonly { readonly gpu_type: string; readonly nodes: readonly { readonly zone: string }[] }[];
}

/** Opens the palette, types words, and waits until it lists something. */
async function find(page: Page, words: string): Promise<void> {
  await page.keyboard.press("Control+k");
  await page.getByLabel("Screen, environment or act").fill(words);
  await page.getByRole("option").first().waitFor();
}
