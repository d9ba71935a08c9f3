import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

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
