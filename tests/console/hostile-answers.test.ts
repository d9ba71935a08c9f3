import { expect, test } from "vitest";
import type { components } from "../../packages/sdk/schema.ts";
import { noBrowser, openConsole } from "./console-fixture.ts";
import { harmless, hostile, lookAt, markup, poison } from "./hostile-fixture.ts";

type Schemas = components["schemas"];

const at = "2026-01-20T18:00:00Z";

/** Fields that are null or empty in the answers of a new stack. */
const lateFields = {
  status_reason: "late",
  warning: "late",
  isolation: "late",
  limits: "late",
  command: "late",
  ssh_command: "late",
  env_names: ["late"],
  secondary_users: ["late"],
};

const action: Schemas["JobAction"] = {
  id: 1,
  action: "extend",
  status: "failed",
  error: "late",
  requested_at: at,
  completed_at: at,
};

const snapshot: Schemas["Snapshot"] = { snapshot_id: "late", status: "completed", snapshot_date: at, kind: "backup" };

const delivery: Schemas["WebhookDelivery"] = {
  delivery_id: "late",
  environment_id: "late",
  environment_name: "late",
  api: "late",
  run: 1,
  phase: "late",
  step: null,
  state: "waiting",
  attempt_count: 1,
  attempts: [{ number: 1, at, status: null, error: "late" }],
  created_at: at,
  next_attempt_at: at,
  ended_at: null,
};

const auditEntry: Schemas["AuditEntry"] = {
  id: "late",
  at,
  operator: "late",
  key_prefix: "late",
  action: "drain_pool",
  target: "late",
  request_id: "late",
  result: "done",
  reason: "late",
  count: 2,
};

test("10 KB of markup and turned text in every field of a user's answers are shown as text alone", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ ADMIN_USERS: "developer" });
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", {
    image: "ubuntu:24.04",
    instance_type: "c7i.8xlarge",
    name: "runs",
    disk_name: "data",
  });
  const page = await open("/", { viewport: { width: 360, height: 640 } });
  await page.getByRole("row", { name: /runs.*active/ }).waitFor();
  const read = (path: string) => call<Record<string, unknown>>("GET", path);
  const job = { ...(await read(`/v1/jobs/${job_id}`)), ...lateFields };
  const { availability } = await call<Schemas["Availability"]>("GET", "/v1/gpu/availability");
  const status = await call<Schemas["ClusterStatus"]>("GET", "/v1/cluster/status");
  const type = { ...Object.values(availability)[0], closed_reason: "late" };
  const capacity = Object.values(status.by_gpu_type)[0];
  // The name of the poisoned disk is in the paths of its snapshots and its content.
  const poisoned: Record<string, unknown> = {
    "/v1/jobs": { jobs: [job], total: 1, limit: 500, offset: 0 },
    [`/v1/jobs/${job_id}`]: { ...job, actions: [action], jupyter_error: "late" },
    "/v1/keys": await read("/v1/keys"),
    "/v1/disks": await read("/v1/disks"),
    "/v1/disks/data": await read("/v1/disks/data"),
    "/snapshots": { snapshots: [snapshot], total: 1 },
    "/content": { disk_name: "data", content: "late", s3_path: null, snapshot_date: at, message: null },
    "/v1/webhooks/deliveries": { deliveries: [delivery], next: null },
    "/v1/admin/jobs": { jobs: [job], total: 1, limit: 100, offset: 0 },
    "/v1/admin/audit": { ...(await read("/v1/admin/audit")), entries: [auditEntry] },
    "/v1/gpu/availability": { availability: { [hostile]: type } },
    "/v1/cluster/status": { ...status, by_gpu_type: { [hostile]: capacity } },
    "/v1/me": await read("/v1/me"),
  };
  for (const [path, body] of Object.entries(poisoned)) {
    const json = poison(body);
    await page.route(
      (address) => address.pathname.endsWith(path),
      (route) => route.fulfill({ json }),
    );
  }
  const screens = ["/", `/jobs/${job_id}`, "/disks", "/disks/data", "/cluster", "/account", "/admin", "/admin/audit"];
  const seen: unknown[] = [];
  for (const screen of screens) {
    await page.goto(url + screen);
    await page.locator("main").getByText(markup).first().waitFor();
    if (screen === "/disks/data") {
      await page.getByText("Files that the last backup saw").click();
      await page.locator("pre", { hasText: markup }).waitFor();
    }
    seen.push({ screen, ...(await lookAt(page)) });
  }

  expect(seen).toEqual(screens.map((screen) => ({ screen, ...harmless })));
  expect(faults()).toEqual([]);
});

test("a login link of a user whose name is markup shows it as text alone", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { visit, issueCode, url, faults } = await openConsole();
  const page = await visit("/login", { viewport: { width: 360, height: 640 } });
  await page.route(`${url}/v1/web/codes/show`, (route) => route.fulfill({ json: { username: hostile } }));
  await page.goto("about:blank");
  await page.goto(`${url}/login#code=${await issueCode()}`);
  await page.getByText(markup).waitFor();

  expect(await lookAt(page)).toEqual(harmless);
  expect(faults()).toEqual([]);
});
