import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" };

test("the page of a job that waits shows how its estimate moved while the page was open", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  await call("POST", "/v1/jobs/submit", { ...job, name: "runs" });
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...job, name: "waits" });
  const json = await call<object>("GET", `/v1/jobs/${job_id}`);
  const starts = ["2031-05-06T07:00:00Z", "2031-05-06T07:00:20Z", "2031-05-06T09:30:00Z"];
  const page = await open("/", { timezoneId: "UTC" });
  let reads = 0;
  await page.route(`${url}/v1/jobs/${job_id}`, (route) => {
    const estimated_start_time = starts[Math.min(reads, starts.length - 1)];
    reads += 1;
    return route.fulfill({ json: { ...json, estimated_start_time } });
  });
  await page.goto(`${url}/jobs/${job_id}`);
  await page.getByRole("heading", { name: "How the estimate moved" }).waitFor();
  const moves = page.locator("ol", { hasText: "start at" }).getByRole("listitem");
  const shown = await moves.locator("span").allInnerTexts();

  // A move of less than half a minute is none.
  expect(shown).toEqual(["start at May 6, 07:00 UTC", "start at May 6, 09:30 UTC"]);
  expect(await violations(page)).toEqual([]);
  expect(faults()).toEqual([]);
});
