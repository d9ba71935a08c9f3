import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";

const whole = { image: "ubuntu:24.04", instance_type: "p5.48xlarge", gpu_count: 8 };
const settings = { ADMIN_USERS: "developer", LOCAL_NODES: "p5.48xlarge=1" };

test("the cluster shows the user's queue with place, estimate and reason", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, openAsSecond, call, callAsSecond, faults } = await openConsole(settings);
  await callAsSecond("POST", "/v1/jobs/submit", { ...whole, name: "holds" });
  const page = await openAsSecond("/");
  await page.getByRole("row", { name: /holds.*active/ }).waitFor();
  await callAsSecond("POST", "/v1/jobs/submit", { ...whole, name: "waits" });
  await call("POST", "/v1/jobs/submit", { ...whole, name: "others" });
  await page.getByRole("link", { name: "Cluster" }).click();
  const queue = page.getByRole("table", { name: "Your queue" });
  await queue.getByRole("row", { name: /^waits 8 × h100 [12] starts in about .*Need 8 H100/ }).waitFor();
  const rows = await queue.getByRole("row").count();
  const operator = await open("/cluster");
  await operator.getByRole("link", { name: "The queue of all users" }).click();
  await operator.getByRole("table", { name: "Waiting environments in the planner's order" }).waitFor();

  expect(rows).toBe(2);
  expect(await page.getByRole("link", { name: "The queue of all users" }).count()).toBe(0);
  expect(faults()).toEqual([]);
});

test("a bar hatches the units of machines that are away, and its label names them", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole(settings);
  const page = await open("/");
  const status = await call<{ by_gpu_type: Record<string, object> }>("GET", "/v1/cluster/status");
  const h100 = { ...status.by_gpu_type.h100, total: 8, in_use: 2, available: 3 };
  await page.route(`${url}/v1/cluster/status`, (route) =>
    route.fulfill({ json: { ...status, by_gpu_type: { h100 } } }),
  );
  await page.goto(`${url}/cluster`);
  const bar = page.getByRole("img", { name: "h100: 2 held, 3 free of 8, 3 away" });
  await bar.waitFor();
  const fill = await bar.locator(".chart-away").getAttribute("fill");

  expect(fill).toMatch(/^url\(/);
  expect(await violations(page)).toEqual([]);
  expect(faults()).toEqual([]);
});
