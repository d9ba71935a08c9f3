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
  await page.getByText("This browser's session was revoked").waitFor();
  await page.getByText("berth web").waitFor();
  expect(faults()).toEqual([]);
});

test("a sign-out that fails says so and leaves the page, and the login page knows the session", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, open, faults } = await openConsole();
  const page = await open("/");
  await page.route(`${url}/v1/web/sessions`, (route) => route.abort());
  await page.getByRole("button", { name: "developer" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are still signed in.").waitFor();
  const address = page.url();
  await page.goto(`${url}/login`);
  await page.getByText("This browser is logged in as developer").waitFor();
  const commands = await page.getByText("berth web").count();

  expect([address, commands]).toEqual([`${url}/`, 0]);
  expect(faults()).toEqual([]);
});

test("a login returns to the screen that was wanted before it", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, issueCode, visit, faults } = await openConsole();
  const page = await visit("/disks?from=a-link");
  await page.getByText("This browser has no session.").waitFor();
  const link = await page.context().newPage();
  await link.goto(`${url}/login#code=${await issueCode()}`);
  await link.getByRole("button", { name: "Continue" }).click();
  await link.getByText("You have no disk").waitFor();

  expect(link.url()).toBe(`${url}/disks?from=a-link`);
  expect(faults()).toEqual([]);
});

test("a login link that is pasted into a tab of the login page is taken, and leaves the address", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, issueCode, visit, faults } = await openConsole();
  const page = await visit("/login");
  await page.getByText("This browser has no session.").waitFor();

  await page.goto(`${url}/login#code=${await issueCode()}`);
  await page.getByRole("button", { name: "Continue" }).waitFor();

  expect(page.url()).toBe(`${url}/login`);
  expect(faults()).toEqual([]);
});

test("a browser that keeps nothing of a site is led to the login too", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, visit, faults } = await openConsole();
  const page = await visit("/login");
  // As Chromium does for a site whose cookies are blocked.
  const refuse = () => {
    throw new DOMException("Access is denied for this document", "SecurityError");
  };
  await page.addInitScript(`Object.defineProperty(window, "localStorage", { get: ${refuse} })`);
  await page.addInitScript(`globalThis.BroadcastChannel = function () { (${refuse})(); }`);
  await page.goto(`${url}/disks`);
  await page.getByText("This browser has no session.").waitFor();

  expect(page.url()).toBe(`${url}/login`);
  expect(faults()).toEqual([]);
});

test("a login in a browser that keeps no cookie names browsers that do", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, issueCode, visit, faults } = await openConsole();
  const page = await visit("/login");
  // Chromium applies cookies of an answer below this level, so the answer is one without a cookie.
  const session = { username: "developer", expires_at: "2030-01-01T00:00:00Z" };
  await page.route(`${url}/v1/web/sessions`, (route) => route.fulfill({ json: session }));
  await page.goto("about:blank");
  await page.goto(`${url}/login#code=${await issueCode()}`);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("This browser kept no cookie").waitFor();
  await page.getByText("use Firefox or a current Chromium").waitFor();

  expect(faults()).toEqual([]);
});

test("the login page of a disabled user names the operator and no command", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, call, openAsSecond, faults } = await openConsole({ ADMIN_USERS: "developer" });
  const page = await openAsSecond("/");
  await call("POST", "/v1/admin/users/second/disable");
  await page.getByText("You are signed out here").waitFor();
  const ofList = await page.getByText("berth web").count();
  await page.goto(`${url}/`);
  await page.getByText("An operator disabled this user. Ask an operator to enable it.").waitFor();

  expect([ofList, await page.getByText("berth web").count()]).toEqual([0, 0]);
  expect(faults()).toEqual([]);
});

test("a link of another user names that user first, and a guessed one leads to the login", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, open, callAsSecond, issueCode, faults } = await openConsole();
  const page = await open("/");
  await page.goto(`${url}/login#code=${"A".repeat(43)}`);
  await page.getByText("This code is unknown, used or expired").waitFor();
  await page.getByText("Get a link from your terminal.").waitFor();
  await page.goto("about:blank");
  await page.goto(`${url}/login#code=${await issueCode(callAsSecond)}`);
  await page.getByText("Continue as second on this computer?").waitFor();
  await page.getByRole("link", { name: "No" }).click();
  await page.getByText("This browser is logged in as developer").waitFor();

  await page.goto("about:blank");
  await page.goto(`${url}/login#code=${await issueCode(callAsSecond)}`);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: "second" }).waitFor();

  expect(faults()).toEqual([]);
});

test("other tabs follow a login of another user and a sign-out", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { url, open, callAsSecond, issueCode, faults } = await openConsole();
  const page = await open("/disks");
  await page.getByRole("button", { name: "developer" }).waitFor();
  const other = await page.context().newPage();
  await other.goto(`${url}/login#code=${await issueCode(callAsSecond)}`);
  await other.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: "second" }).waitFor();
  await other.getByRole("button", { name: "second" }).click();
  await other.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("This browser has no session.").waitFor();

  expect(page.url()).toBe(`${url}/login`);
  expect(faults()).toEqual([]);
});
