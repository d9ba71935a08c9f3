import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { type ConsoleFixture, noBrowser, openConsole } from "./console-fixture.ts";
import { domain, openFront } from "./front-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: "target" };

interface Target {
  readonly url: string;
  readonly jobId: string;
  readonly workspaceId: string;
}

/** A job and a workspace of a user who is logged in with a browser. */
async function openTarget(settings: Readonly<Record<string, string>> = {}) {
  const fixture = await openConsole(settings);
  const { job_id: jobId } = await fixture.call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const workspace = { template: "python", namespace: "my-project", user: "developer" };
  const { id } = await fixture.call<{ id: string }>("POST", "/v1/cloudrun/workspaces", workspace);
  return { fixture, target: { url: fixture.url, jobId, workspaceId: id } };
}

/** Runs in a page of the attacker. Answers what it could read, and which sockets opened. */
const attack = ({ url, jobId, workspaceId }: Target) => `(async () => {
  const cancel = "${url}/v1/jobs/${jobId}/cancel";
  const result = (answer) => answer.then(({ type, status }) => type === "opaque" ? "opaque" : status, () => "refused");
  const open = (path) => new Promise((resolve) => {
    const socket = new WebSocket("${url}".replace("http", "ws") + path);
    socket.onopen = () => resolve("open");
    socket.onerror = () => resolve("refused");
  });
  const json = { "content-type": "application/json" };
  return [
    await result(fetch("${url}/v1/me", { credentials: "include" })),
    await result(fetch("${url}/v1/me", { credentials: "include", mode: "no-cors" })),
    await result(fetch(cancel, { method: "POST", credentials: "include", headers: json, body: "{}" })),
    await result(fetch(cancel, { method: "POST", credentials: "include", mode: "no-cors", body: "{}" })),
    await open("/v1/cloudrun/workspaces/${workspaceId}/shell"),
    await open("/.berth/terminal"),
  ];
})()`;

const nothing = ["refused", "opaque", "refused", "opaque", "refused", "refused"];

/** Sends a form that cancels the job, and returns the status of the answer. */
async function sendForm(page: Page, { url, jobId }: Target): Promise<number> {
  const answered = page.waitForResponse((response) => response.url().endsWith(`/v1/jobs/${jobId}/cancel`));
  await page.evaluate(`{
    const form = document.createElement("form");
    form.method = "post";
    form.action = "${url}/v1/jobs/${jobId}/cancel";
    document.body.append(form);
    form.submit();
  }`);
  const status = (await answered).status();
  await page.waitForURL(`${url}/**`);
  return status;
}

/** Returns the statuses of opaque reads that a page sends from now on. A refused read shows no status. */
function watchReads(page: Page, { url }: Target): () => number[] {
  const statuses: number[] = [];
  page.on("response", (response) => {
    if (response.url() === `${url}/v1/me`) statuses.push(response.status());
  });
  return () => statuses;
}

async function expectUntouched({ call }: ConsoleFixture, { jobId }: Target): Promise<void> {
  const { status, actions } = await call<{ status: string; actions: unknown[] }>("GET", `/v1/jobs/${jobId}`);
  expect([status, actions]).toEqual(["active", []]);
}

/** Proves that the session would allow what the attacks try. */
async function expectAllowedInConsole(page: Page, { url, jobId }: Target): Promise<void> {
  await page.goto(`${url}/`);
  await page.getByRole("row", { name: /target.*active/ }).waitFor();
  const script = `(async () => {
    const me = await fetch("/v1/me");
    const cancel = await fetch("/v1/jobs/${jobId}/cancel", { method: "POST" });
    return [me.status, cancel.status];
  })()`;
  expect(await page.evaluate(script)).toEqual([200, 200]);
}

test("a page of an environment reads nothing and changes nothing with the console's session", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { fixture, target } = await openTarget();
  const { workspace_url } = await fixture.call<{ workspace_url: string }>("POST", "/session/create", {
    user_id: "user@example.com",
  });
  const origin = new URL(workspace_url).origin;
  // The environment's owner sets the policy of the page, so it has none here.
  const page = await fixture.open("/", {
    bypassCSP: true,
    httpCredentials: { username: "developer", password: fixture.key, origin },
  });
  await page.getByRole("row", { name: /target.*active/ }).waitFor();
  await expect.poll(async () => (await page.goto(workspace_url))?.status(), { timeout: 60_000 }).toBe(200);

  const reads = watchReads(page, target);
  expect(await page.evaluate("location.origin")).toBe(origin);
  expect(await page.evaluate(attack(target))).toEqual(nothing);
  expect(reads()).toEqual([401]);
  expect(await sendForm(page, target)).toBe(401);
  await expectUntouched(fixture, target);
  await expectAllowedInConsole(page, target);
});

test.for([
  ["a host below the console's, which gets no cookie,", "evil.berth.localhost", false],
  // Cookies ignore ports (RFC 6265, section 8.5).
  ["another port of the console's host, which gets its cookie,", "berth.localhost", true],
] as const)("a same-site page at %s reads nothing and changes nothing", async ([, host, getsCookie], { skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { fixture, target } = await openTarget();
  const gotCookie = new Set<boolean>();
  const server = createServer(({ headers }, response) => {
    gotCookie.add(headers.cookie?.startsWith("__Host-berth=") ?? false);
    response.setHeader("content-type", "text/html").end("<body>Evil");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const page = await fixture.open("/");
  await page.getByRole("row", { name: /target.*active/ }).waitFor();
  await page.goto(`http://${host}:${(server.address() as AddressInfo).port}/`);
  expect([...gotCookie]).toEqual([getsCookie]);

  const reads = watchReads(page, target);
  expect(await page.evaluate(attack(target))).toEqual(nothing);
  expect(reads()).toEqual([401]);
  expect(await sendForm(page, target)).toBe(401);
  await expectUntouched(fixture, target);
  await expectAllowedInConsole(page, target);
});

test("a page of an environment on the console's registrable domain gets no use of the cookie that it sends", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { fixture, target: inStack } = await openTarget({ DOMAIN: `pages.${domain}` });
  const front = await openFront(fixture.url);
  const target = { ...inStack, url: front.url };
  const { workspace_url } = await fixture.call<{ workspace_url: string }>("POST", "/session/create", {
    user_id: "user@example.com",
  });
  const { hostname, pathname } = new URL(workspace_url);
  const origin = `https://${hostname}:${front.port}`;
  const page = await fixture.visit(`${front.url}/login#code=${await fixture.issueCode()}`, {
    bypassCSP: true,
    ignoreHTTPSErrors: true,
    httpCredentials: { username: "developer", password: fixture.key, origin },
  });
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("row", { name: /target.*active/ }).waitFor();
  await expect.poll(async () => (await page.goto(origin + pathname))?.status(), { timeout: 60_000 }).toBe(200);

  const reads = watchReads(page, target);
  expect(hostname.endsWith(`.pages.${domain}`)).toBe(true);
  expect(await page.evaluate(attack(target))).toEqual(nothing);
  expect(reads()).toEqual([401]);
  expect(await sendForm(page, target)).toBe(401);
  // The page of the console that was there before may still get answers.
  const sent = front.requests.filter(({ site, hasCookie }) => hasCookie && site !== "same-origin");
  expect(sent.map(({ site, status }) => `${site} ${status}`)).toEqual([
    ...["same-site 401", "same-site 401", "same-site 401"],
    // Chromium sends no Sec-Fetch-Site with a socket.
    ...["undefined 401", "undefined 404"],
    "same-site 401",
  ]);
  await expectUntouched(fixture, target);
  await expectAllowedInConsole(page, target);
});
