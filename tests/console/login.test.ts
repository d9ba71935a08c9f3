import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

test("a login link asks first, leaves the address, works once, and ends with the session", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, issueCode, visit, faults } = await openConsole();
  const code = await issueCode();
  const page = await visit(`/login#code=${code}`);
  await page.getByText("Continue as developer on this computer?").waitFor();
  const addresses = [page.url(), await page.evaluate("history.length === 2 && document.referrer")];

  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("heading", { name: "Environments" }).waitFor();
  const cookies = await page.context().cookies();
  const scripts = await page.evaluate("document.cookie");

  const other = await visit(`/login#code=${code}`);
  await other.getByText("This code is unknown, used or expired").waitFor();

  await page.getByRole("button", { name: "developer" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("berth web").waitFor();
  await page.goto(`${url}/`);
  await page.getByText("This browser has no session").waitFor();

  expect(addresses).toEqual([`${url}/login`, ""]);
  expect(cookies).toMatchObject([{ name: "__Host-berth", secure: true, httpOnly: true, sameSite: "Strict" }]);
  expect(scripts).toBe("");
  expect(faults()).toEqual([]);
});

test("a session that is revoked shows as a way to sign in again", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole();
  const page = await open("/");
  const { keys } = await call<{ keys: { kind: string; key_prefix: string }[] }>("GET", "/v1/keys");
  const [session] = keys.filter(({ kind }) => kind === "web");
  await call("DELETE", `/v1/keys/${session?.key_prefix}`);

  await page.getByText("You are signed out here").waitFor();
  await page.getByText("berth web").waitFor();
  expect(faults()).toEqual([]);
});
