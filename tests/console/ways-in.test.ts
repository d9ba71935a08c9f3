import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { jupyterStub } from "#process/pages/jupyter-stub.ts";
import { systemPath } from "#process/sandbox/local-path.ts";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { openServer } from "../../packages/sdk/server-fixture.ts";
import { noBrowser, openConsole } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: "lab" };

test("a job gets Jupyter from its page, which links to it, until its page stops it", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const shown = mkdtempSync("/var/tmp/berth-console-");
  onTestFinished(() => rmSync(shown, { recursive: true }));
  chmodSync(shown, 0o755);
  mkdirSync(`${shown}/bin`);
  const { call, home, open, url, faults } = await openConsole({ LOCAL_PATH: `${shown}/bin:${systemPath}` });
  const compute = { isolation: canSandbox() ? "bubblewrap" : "none" } as const;
  const { PATH: _, ...env_vars } = jupyterStub({ shown, home, compute });
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...job, env_vars });
  const page = await open(`/jobs/${job_id}`);
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "Start Jupyter…" }).click();
  await dialog.getByText("berth jupyter on lab").waitFor();
  await dialog.getByRole("button", { name: "Start Jupyter", exact: true }).click();
  await page.locator(".outcome", { hasText: "Start Jupyter: done" }).waitFor();
  const link = page.getByRole("link", { name: "Jupyter", exact: true });
  const href = (await link.getAttribute("href")) ?? "";
  const status = (await fetch(href)).status;
  await page.getByRole("button", { name: "Stop Jupyter…" }).click();
  await dialog.getByText("Running notebooks end. Saved files stay.").waitFor();
  await dialog.getByRole("button", { name: "Stop Jupyter", exact: true }).click();
  await page.locator(".outcome", { hasText: "Stop Jupyter: done" }).waitFor();
  await link.waitFor({ state: "detached" });

  expect(href).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/lab\?token=/);
  expect(await page.content()).not.toContain(new URL(href).searchParams.get("token"));
  expect([status, await link.count()]).toEqual([200, 0]);
  expect(page.url()).toBe(`${url}/jobs/${job_id}`);
  expect(faults()).toEqual([]);
});

test("a job is shared with a GitHub user, and the page says why another one cannot come in", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl octocat";
  const github = await openServer(({ path }) => (path === "/octocat.keys" ? { body: key } : { status: 404 }));
  onTestFinished(() => github.close());
  const { call, open, faults } = await openConsole({ GITHUB_KEYS_URL: `${github.url}/<user>.keys` });
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open(`/jobs/${job_id}`);
  const dialog = page.getByRole("dialog");
  const user = dialog.getByLabel("GitHub user");
  const share = dialog.getByRole("button", { name: "Share", exact: true });
  await page.getByRole("button", { name: "Share…" }).click();
  await user.fill("<b>octocat</b>");
  const withMarkup = await share.isEnabled();
  await user.fill("octocat");
  await dialog.getByText("berth share lab octocat").waitFor();
  await share.click();
  await page.locator(".outcome", { hasText: "Share: done" }).waitFor();
  await page.getByText("Shared with").waitFor();
  await page.getByText("octocat", { exact: true }).waitFor();

  await page.getByRole("button", { name: "Share…" }).click();
  await user.fill("nobody-of-that-name");
  await share.click();
  await page.locator(".outcome", { hasText: /^Share failed: .*nobody-of-that-name/ }).waitFor();

  expect(withMarkup).toBe(false);
  expect(faults()).toEqual([]);
});
