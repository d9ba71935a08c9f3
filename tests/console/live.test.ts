import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";
import { countReads, setVisibility } from "./reads-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: "runs", disk_name: "data" };

test("no screen reads while it is hidden, and each reads again once it is shown", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ ADMIN_USERS: "developer" });
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  await page.clock.install();
  const reads = await countReads(page);
  const screens = ["/", "/new", `/jobs/${job_id}`, "/disks", "/disks/data", "/cluster", "/account"];
  const operators = ["/admin", "/admin/users", "/admin/audit", "/admin/deliveries"];
  const hidden: unknown[] = [];
  for (const screen of [...screens, ...operators]) {
    await page.goto(url + screen);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await reads.settle();
    await setVisibility(page, "hidden");
    await page.clock.runFor("05:00");
    const { whileHidden, whileVisible } = await reads.count();
    await setVisibility(page, "visible");
    await expect.poll(async () => (await reads.count()).whileVisible).toBeGreaterThan(whileVisible);
    hidden.push({ screen, whileHidden });
  }

  expect(hidden).toEqual([...screens, ...operators].map((screen) => ({ screen, whileHidden: 0 })));
  expect(faults()).toEqual([]);
});

test("five minutes on an active job take at most 29 requests, and the heap does not grow in an hour", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole();
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  const page = await open("/");
  await page.getByRole("row", { name: /runs.*active/ }).waitFor();
  await page.clock.install();
  const reads = await countReads(page);
  await page.goto(`${url}/jobs/${job_id}`);
  await page.getByText("berth ssh runs").waitFor();
  const pass = async (steps: number, seconds: number) => {
    for (let step = 0; step < steps; step++) {
      await page.clock.fastForward(seconds * 1000);
      await reads.settle();
    }
  };
  await pass(300, 1);
  const { whileVisible } = await reads.count();
  const before = await readHeapKb(page);
  await pass(165, 20);
  const grownKb = (await readHeapKb(page)) - before;

  // An hour may take 350. A page that reads less than every 20 seconds shows old data.
  expect(whileVisible).toBeGreaterThan(15);
  expect(whileVisible).toBeLessThanOrEqual(29);
  // The engine itself takes some 260 kB more. With every answer kept, the page took 430 kB.
  expect(grownKb).toBeLessThan(350);
  expect(faults()).toEqual([]);
});

test("a screen that is open for five minutes reads each of its lists again and again, and calls none of them old", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, url, faults } = await openConsole();
  const page = await open("/");
  await page.clock.install();
  const reads = await countReads(page);
  const lists = ["/v1/cluster/status", "/v1/gpu/availability", "/v1/jobs"];
  const seen: string[] = [];
  page.on("request", (request) => seen.push(new URL(request.url()).pathname));
  await page.goto(`${url}/cluster`);
  await page.getByText("None of your environments waits").waitFor();
  const old: string[] = [];
  seen.length = 0;
  for (let second = 0; second < 300; second += stepSeconds) {
    await page.clock.fastForward(stepSeconds * 1000);
    await reads.settle();
    old.push(...(await page.locator(".stale").allTextContents()));
  }

  expect(old).toEqual([]);
  for (const list of lists) expect({ list, reads: seen.filter((path) => path === list).length }).toSatisfy(isOften);
  expect(faults()).toEqual([]);
});

const stepSeconds = 5;

/** Two reads are at most 16.5 s apart, and the page begins a read that is due up to one step late. */
const isOften = ({ reads }: { readonly reads: number }) => reads >= 300 / (16.5 + stepSeconds) - 1;

async function readHeapKb(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  await session.detach();
  return usedSize / 1024;
}
