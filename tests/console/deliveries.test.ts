import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" };

test("a resend stays requested until the record of the delivery shows its outcome", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole();
  let answer = Promise.resolve(200);
  const webhook_url = await openReceiver(() => answer);
  await call("POST", "/v1/jobs/submit", { ...job, name: "hooked", webhook_url });
  const page = await open("/account");
  const row = page.getByRole("row", { name: /^hooked active/ });
  await row.getByText("delivered").waitFor();
  const { promise, resolve } = Promise.withResolvers<number>();
  answer = promise;
  await row.getByRole("button", { name: "Resend…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Resend", exact: true }).click();
  await row.getByText("waiting").waitFor();
  await row.getByText("Resend: requested").waitFor();
  const early = await page.getByText("Resend: done").count();
  resolve(200);
  await row.getByText("Resend: done").waitFor();
  await page.getByRole("status").getByText("Resend: done").first().waitFor({ state: "attached" });

  answer = Promise.resolve(410);
  await row.getByRole("button", { name: "Resend…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Resend", exact: true }).click();
  await row.getByText("Resend failed").waitFor();

  expect(early).toBe(0);
  expect(faults()).toEqual([]);
});

test("waiting deliveries of all users show why they failed, and only the own ones can be sent again", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, callAsSecond, faults } = await openConsole({ ADMIN_USERS: "developer" });
  const webhook_url = await openReceiver(async () => 503);
  await call("POST", "/v1/jobs/submit", { ...job, name: "mine", webhook_url });
  await callAsSecond("POST", "/v1/jobs/submit", { ...job, name: "others", webhook_url });
  const page = await open("/admin/deliveries");
  const own = page.getByRole("row", { name: /^developer mine/ }).first();
  await own.getByText("waiting").waitFor({ timeout: 60_000 });
  const theirs = page.getByRole("row", { name: /^second others.*its owner may resend it/ }).first();
  await theirs.waitFor({ timeout: 60_000 });
  await own.getByRole("button", { name: "Resend…" }).click();
  const accepted = page.waitForResponse((response) => response.url().endsWith("/resend"));
  await page.getByRole("dialog").getByRole("button", { name: "Resend", exact: true }).click();
  await accepted;
  // The outcome stays after the next read, which begins once the API has accepted the act.
  await page.waitForResponse((response) => response.url().includes("/v1/admin/webhooks/deliveries?"));
  await page.getByText("Resend: requested").first().waitFor();
  expect(await page.getByText("Resend: done").count()).toBe(0);

  await page.getByRole("textbox", { name: "User" }).fill("second");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await theirs.waitFor();
  await page
    .getByRole("row", { name: /^developer/ })
    .first()
    .waitFor({ state: "detached" });
  await page.getByRole("textbox", { name: "User" }).fill("nobody");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.getByText("There is no such thing here").waitFor();
  expect(faults()).toEqual([]);
});

/** Opens a receiver of webhooks until the test ends, and returns its address. */
async function openReceiver(answer: () => Promise<number>): Promise<string> {
  const receiver = createServer(async (_, response) => response.writeHead(await answer()).end());
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  onTestFinished(() => void receiver.close());
  return `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
}
