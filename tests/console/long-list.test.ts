import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";

/** Longer than the longest time between two reads. */
const longestPaceMs = 19_000;
const cpu = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" };

test("of 160 environments only those that changed are drawn again, and the focus stays in its row", async ({
  skip,
}) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, url, faults } = await openConsole({ LOCAL_NODES: "c7i.8xlarge=1" });
  const { job_id } = await call<{ job_id: string }>("POST", "/v1/jobs/submit", { ...cpu, name: "real" });
  const page = await open("/");
  await page.getByRole("row", { name: /^real.*active/ }).waitFor();
  const shown = await call<object>("GET", `/v1/jobs/${job_id}`);
  const jobs = Array.from({ length: 160 }, (_, n) => describeJob(shown, 159 - n));
  await serveList(page, jobs);
  await page.clock.install();
  await page.goto(`${url}/`);
  await nameOf(page, 159).waitFor();
  await page
    .locator("tr", { has: nameOf(page, 80) })
    .locator("button.danger")
    .focus();
  const rows = await page.getByRole("row").count();
  await page.evaluate(watchRows);

  jobs[153] = { ...describeJob(shown, 6), warning: "its machine is slow" };
  await page.clock.fastForward(longestPaceMs);
  await page.getByText("its machine is slow").waitFor();
  const afterWarning = await page.evaluate<string[]>("takeRows()");
  jobs.unshift(describeJob(shown, 161), describeJob(shown, 160));
  jobs.splice(60, 1);
  await page.clock.fastForward(longestPaceMs);
  await nameOf(page, 161).waitFor();
  const afterArrivals = await page.evaluate<string[]>("takeRows()");
  const focused = await page.evaluate<string>(
    `document.activeElement.closest("tr").querySelector(".name").textContent`,
  );

  expect(rows).toBe(161);
  expect(afterWarning).toEqual(["job-6"]);
  expect(afterArrivals.toSorted()).toEqual(["job-101", "job-160", "job-161"]);
  expect(focused).toBe("job-80");
  expect(await rowShape(page)).toEqual({ headAndRowsMatch: true, headHasOneLine: true, rowsOverlap: false });
  expect(await violations(page)).toEqual([]);
  expect(faults()).toEqual([]);
});

function describeJob(job: object, n: number): object {
  const created_at = new Date(Date.UTC(2026, 0, 1) + n * 1_000).toISOString();
  return { ...job, job_id: jobId(n), name: `job-${n}`, created_at };
}

const jobId = (n: number) => `${n}`.padStart(36, "0");

/** A role among so many rows takes seconds to find. */
function nameOf(page: Page, n: number) {
  return page.locator(`a.name[href="/jobs/${jobId(n)}"]`);
}

/** Answers reads of the list with the jobs as they are at the time. */
async function serveList(page: Page, jobs: readonly object[]): Promise<void> {
  await page.route(/\/v1\/jobs\?status=/, (route) => {
    const query = new URL(route.request().url()).searchParams;
    const [offset, limit] = [Number(query.get("offset")), Number(query.get("limit"))];
    return route.fulfill({
      json: { jobs: jobs.slice(offset, offset + limit), total: jobs.length, limit, offset },
    });
  });
}

/** Runs in the browser. Notes the names of rows in which something is added, removed or rewritten, but for times. */
const watchRows = `{
  const names = new Set();
  const note = (node) => {
    const element = node.nodeType === 1 ? node : node.parentElement;
    if (element?.closest("time") || !element) return;
    for (const row of element.matches("tr") ? [element] : [element.closest("tr")]) {
      if (row) names.add(row.querySelector(".name").textContent);
    }
  };
  new MutationObserver((changes) => {
    for (const { target, addedNodes, removedNodes } of changes) {
      const nodes = [...addedNodes, ...removedNodes].flatMap((node) =>
        node.nodeName === "TBODY" ? [...node.rows] : [node],
      );
      if (target.nodeName === "TBODY" || target.nodeName === "TABLE") nodes.forEach(note);
      else note(target);
    }
  }).observe(document.querySelector("table.living"), { subtree: true, childList: true, characterData: true });
  globalThis.takeRows = () => {
    const taken = [...names];
    names.clear();
    return taken;
  };
}`;

/** Compares cells at the start of the list with their heads, and rows with each other. */
function rowShape(page: Page): Promise<unknown> {
  return page.evaluate(`(() => {
    scrollTo(0, 0);
    const edges = (row) => [...row.cells].map((cell) => Math.round(cell.getBoundingClientRect().left)).join();
    const rows = [...document.querySelectorAll("table.living tr")].slice(0, 12);
    const boxes = rows.map((row) => row.getBoundingClientRect());
    return {
      headAndRowsMatch: rows.every((row) => edges(row) === edges(rows[0])),
      headHasOneLine: boxes[0].height < boxes[1].height,
      rowsOverlap: boxes.some(({ bottom }, index) => bottom > (boxes[index + 1]?.top ?? Infinity) + 1),
    };
  })()`);
}
