import { expect, test } from "vitest";
import type { components } from "../../packages/sdk/schema.ts";
import { noBrowser, openConsole } from "./console-fixture.ts";
import { harmless, hostile, lookAt, markup, repeat } from "./hostile-fixture.ts";

type Schemas = components["schemas"];

const at = "2026-01-20T18:00:00Z";

const environment: Schemas["EnvironmentSummary"] = {
  id: hostile,
  api: "dev8",
  name: hostile,
  phase: "active",
  reason: hostile,
  gpu_type: hostile,
  gpu_count: 1,
  queue_position: null,
  estimated_start_time: null,
  disk_name: hostile,
  created_at: at,
  expires_at: hostile,
  ended_at: null,
  links: { self: hostile, page: "javascript:document.title=1" },
};

const closed = { since: hostile, by: hostile, reason: hostile };
const pool: Schemas["AdminPool"] = {
  gpu_type: hostile,
  total: 8,
  free: 0,
  in_use: 8,
  drained: closed,
  drained_parts: [{ ...closed, zone: hostile, node_group: null, node: null }],
  planned_drains: [true, false].map((by_provider) => {
    return { ...closed, zone: null, node_group: hostile, node: null, at: hostile, by_provider };
  }),
  node_count: 1,
  nodes: [
    {
      node: hostile,
      status: "gone",
      fault: hostile,
      drained: true,
      zone: hostile,
      node_group: hostile,
      units: 8,
      holders: [{ user_id: hostile, environment_id: hostile, api: hostile, units: 8, phase: "active", until: at }],
    },
  ],
  waiting_count: 1,
  queue: [
    {
      position: 1,
      user_id: hostile,
      environment_id: hostile,
      name: hostile,
      api: hostile,
      machines: 2,
      units: 8,
      share: 1,
      queued_at: hostile,
      estimated_start_time: null,
      reason: hostile,
    },
  ],
};

const group: Schemas["NodeGroup"] = {
  node_group: hostile,
  instance_types: [hostile],
  zones: [hostile],
  min: 0,
  desired: null,
  max: 1,
  active: true,
  admits_jobs: true,
  lacks: "machines",
  lacks_in: [hostile],
  starts_at: hostile,
  ends_at: hostile,
};

const reading = { groups: [group], read_at: at, asked_at: at, error: hostile };

const user = { username: hostile, user_id: 7, disabled: false, key_count: 1, web_session_count: 0, last_issued_at: at };

const delivery: Schemas["AdminWebhookDelivery"] = {
  delivery_id: hostile,
  environment_id: hostile,
  environment_name: hostile,
  api: hostile,
  run: 1,
  phase: hostile,
  step: null,
  state: "waiting",
  attempt_count: 1,
  attempts: [{ number: 1, at, status: null, error: hostile }],
  created_at: at,
  next_attempt_at: hostile,
  ended_at: null,
  user_id: hostile,
};

test("10 KB of markup and turned text in the answers for operators are shown as text alone", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, url, faults } = await openConsole({ ADMIN_USERS: "developer" });
  const page = await open("/", { viewport: { width: 360, height: 640 } });
  const counts = { limit: 100, offset: 0, total: 1 };
  const answers: [path: string, screen: string, body: unknown][] = [
    ["/v1/environments", "/", { environments: [environment], ...counts } satisfies Schemas["AllEnvironments"]],
    [
      "/v1/admin/pools",
      "/admin",
      { paused: closed, pools: [pool], node_groups: reading } satisfies Schemas["AdminPoolList"],
    ],
    ["/v1/admin/users", "/admin/users", { users: [user], ...counts } satisfies Schemas["AdminUserList"]],
    [
      "/v1/admin/webhooks/deliveries",
      "/admin/deliveries",
      { deliveries: [delivery], next: hostile } satisfies Schemas["AdminWebhookDeliveryList"],
    ],
  ];
  const seen: unknown[] = [];
  for (const [path, screen, body] of answers) {
    await page.route(`${url}${path}?*`, (route) => route.fulfill({ json: body }));
    await page.route(`${url}${path}`, (route) => route.fulfill({ json: body }));
    await page.goto(url + screen);
    await page.getByText(markup).first().waitFor();
    // The end of a group by its provider cannot be dropped.
    if (screen === "/admin") expect(await page.getByRole("button", { name: "Drop…" }).count()).toBe(1);
    seen.push({ screen, ...(await lookAt(page)) });
  }

  expect(seen).toEqual(answers.map(([, screen]) => ({ screen, ...harmless })));
  expect(faults()).toEqual([]);
});

test("a command and a log of 10 KB of markup are shown as text alone", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  const text = repeat(`${markup}\u202E\u2066`);
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", {
    image: "ubuntu:24.04",
    instance_type: "c7i.8xlarge",
    name: "<b>log</b>",
    command: `printf '%s\\n' '${text}'; sleep 600`,
  });
  const page = await open(`/jobs/${job_id}`);
  await page.getByText("printf '%s").first().waitFor();
  const ofPage = await page.locator("main img, main b").count();
  await page.goto(`${url}/jobs/${job_id}/logs`);
  await page.getByRole("heading", { name: "Log of <b>log</b>" }).waitFor();
  const log = page.locator("pre");
  await log.first().waitFor();

  expect([ofPage, await page.locator("main img, main b").count()]).toEqual([0, 0]);
  expect(await log.textContent()).toBe(text.replace(/[\u202E\u2066]/g, "\uFFFD"));
  expect(await page.title()).toBe("Log of <b>log</b> · Berth");
  expect(faults()).toEqual([]);
});
