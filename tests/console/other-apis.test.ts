import { expect, test } from "vitest";
import type { components } from "../../packages/sdk/schema.ts";
import { noBrowser, openConsole } from "./console-fixture.ts";

test("environments of other APIs are in the list with their links, and are read only", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole();
  await call("POST", "/v1/jobs/submit", { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: "own-job" });
  const { uuid, workspace_url } = await call<{ uuid: string; workspace_url: string }>("POST", "/session/create", {
    user_id: "user@example.com",
  });
  const instance = { name: "an-instance", productName: "L4 24GB", templateId: "ubuntu-ssh" };
  const { instanceId } = await call<{ instanceId: string }>("POST", "/api/instances", instance);
  const page = await open("/");
  const session = page.getByRole("row", { name: /made through session-manager/ });
  await session.getByText(`berth api /session/${uuid}`).waitFor();
  const link = session.getByRole("link", { name: /^Page of / });
  await link.waitFor({ timeout: 90_000 });
  const novita = page.getByRole("row", { name: /^an-instance made through novita/ });
  await novita.getByText(`berth api /api/instances/${instanceId}`).waitFor();
  const own = page.getByRole("row", { name: /^own-job.*active/ });

  await own.getByRole("button", { name: "End…", exact: true }).waitFor();
  expect(await session.getByRole("button", { name: /…$/ }).count()).toBe(0);
  expect(await link.getAttribute("href")).toBe(new URL(workspace_url).href);
  expect(await link.getAttribute("rel")).toBe("noopener noreferrer");
  await call("DELETE", `/session/${uuid}`);
  await session.waitFor({ state: "detached", timeout: 90_000 });
  expect(faults()).toEqual([]);
});

test("an environment that has ended is in one list, also while the other was not read again", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", {
    image: "ubuntu:24.04",
    instance_type: "c7i.8xlarge",
    name: "ends",
  });
  const page = await open("/");
  const living = page.getByRole("table", { name: "Environments that run or wait" });
  await living.getByRole("row", { name: /^ends.*active/ }).waitFor();
  // From now on the answer about living jobs is that of before.
  const path = "/v1/jobs?status=queued%2Cpreparing%2Cactive&limit=500&offset=0";
  const body = await page.evaluate(async (from) => (await fetch(from)).text(), path);
  await page.route(`**${path}`, (route) => route.fulfill({ body, contentType: "application/json" }));
  await call("POST", `/v1/jobs/${job_id}/cancel`);
  await page.getByText("Ended environments", { exact: true }).first().click();
  await page
    .getByRole("table", { name: "Ended environments" })
    .getByRole("row", { name: /^ends/ })
    .waitFor({ timeout: 60_000 });

  expect(await page.getByRole("row", { name: /^ends/ }).count()).toBe(1);
  expect(faults()).toEqual([]);
});

test("only pages of the deployment are links, and those over TLS", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  const page = await open("/");
  const me = await call<object>("GET", "/v1/me");
  await page.route(`${url}/v1/me`, (route) => route.fulfill({ json: { ...me, pages_domain: "pages.example" } }));
  const pages = [
    "https://own.pages.example/path",
    "https://own.pages.example:8443/",
    "https://pages.example.attacker.example/",
    "https://attacker-pages.example/",
    "https://attacker.example/",
    "http://own.pages.example/",
    "javascript:document.title=1",
  ];
  const environments = pages.map((address, n) => environmentWith(`page-${n}`, address));
  await page.route(`${url}/v1/environments?*`, (route) =>
    route.fulfill({ json: { environments, limit: 500, offset: 0, total: pages.length } }),
  );
  await page.goto(url);
  await page.getByText("page-6", { exact: true }).waitFor();
  const links = page.getByRole("link", { name: /^Page of / });
  const found = await links.evaluateAll((elements) => elements.map((element) => element.getAttribute("href")));

  expect(found).toEqual(["https://own.pages.example/path"]);
  expect(faults()).toEqual([]);
});

function environmentWith(name: string, page: string): components["schemas"]["EnvironmentSummary"] {
  return {
    id: name,
    api: "dev8",
    name,
    phase: "active",
    reason: null,
    gpu_type: "cpu-x86",
    gpu_count: 0,
    queue_position: null,
    estimated_start_time: null,
    disk_name: null,
    created_at: "2026-01-20T18:00:00Z",
    expires_at: null,
    ended_at: null,
    links: { self: "/x", page },
  };
}
