import { setTimeout as sleep } from "node:timers/promises";
import { type Browser, chromium as browserType, type CDPSession, type Page } from "playwright-core";
import type { JobSummary } from "../../../packages/sdk/jobs.ts";
import { chromium } from "../../e2e/browser-fixture.ts";
import { type Measure, median, type Row } from "../measure.ts";
import { type LocalStack, until, withStack } from "../server/local-stack.ts";
import { terminalRows } from "./console-terminal.ts";
import { openPlainServer } from "./plain-page.ts";

const rounds = 15;
const windowSeconds = 20;
const followedMinutes = 5;

/** The web console in Chromium against the local stack. */
export const webConsole: Measure = {
  name: "console",
  async run() {
    if (chromium === undefined) {
      return [{ name: "web console", value: 0, unit: "", note: "not measured: there is no Chromium" }];
    }
    const browser = await browserType.launch({ executablePath: chromium, args: ["--no-sandbox"] });
    try {
      return await withStack("c7i.8xlarge=2", (stack) => measureConsole(stack, browser));
    } finally {
      await browser.close();
    }
  },
};

async function measureConsole(stack: LocalStack, browser: Browser): Promise<Row[]> {
  const started = stack.lines.find(({ event }) => event === "started");
  const own = `http://berth.localhost:${new URL(String(started?.url)).port}`;
  const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: "runs" };
  const { job_id: id } = await stack.call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  await until(async () => {
    const { status } = await stack.call<{ status: string }>("GET", `/v1/jobs/${id}`);
    return status === "active" || undefined;
  }, 60_000);
  const page = await logIn(stack, browser, own);
  return [
    ...(await firstRows(stack, page, own)),
    ...(await updateRows(stack, page, own)),
    ...(await terminalRows(stack, page, `${own}/jobs/${id}/terminal`)),
    ...(await followRows(page, `${own}/jobs/${id}`)),
  ];
}

async function logIn(stack: LocalStack, browser: Browser, own: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  const { code } = await stack.call<{ code: string }>("POST", "/v1/web/codes");
  await page.goto(`${own}/login#code=${code}`);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("row", { name: /^runs/ }).waitFor();
  return page;
}

/** Time from the navigation to the first row, beside a page that fetches the same list and nothing else. */
async function firstRows(stack: LocalStack, page: Page, own: string): Promise<Row[]> {
  const plain = await openPlainServer(() => stack.call("GET", "/v1/jobs?status=queued,preparing,active&limit=500"));
  const session = await page.context().newCDPSession(page);
  await page.addInitScript({ content: watchRows });
  const rows: Row[] = [];
  for (const [name, isCold] of [
    ["warm cache", false],
    ["cold cache", true],
  ] as const) {
    await session.send("Network.setCacheDisabled", { cacheDisabled: isCold });
    const [ours, theirs, whole]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < rounds; round++) {
      theirs.push(await timeToRow(page, plain.url));
      ours.push(await timeToRow(page, `${own}/`));
      await page.locator("tbody button").first().waitFor();
      whole.push(await page.evaluate<number>("firstButtonAt"));
    }
    const pairs = `plain page ${median(theirs).toFixed(0)} ms; ${rounds} pairs`;
    const note = `${median(ours).toFixed(0)} ms, their actions after ${median(whole).toFixed(0)} ms, ${pairs}`;
    rows.push({
      name: `console: first rows / plain page, ${name}`,
      value: median(ours) / median(theirs),
      unit: "×",
      limit: 2,
      note,
    });
  }
  await session.send("Network.setCacheDisabled", { cacheDisabled: false });
  await session.detach();
  plain.close();
  return rows;
}

/** Runs in each page: notes when its first row came, and the first button of a row, since the navigation began. */
const watchRows = `
new MutationObserver(() => {
  if (document.querySelector("tbody tr")) globalThis.firstRowAt ??= performance.now();
  if (document.querySelector("tbody button")) globalThis.firstButtonAt ??= performance.now();
}).observe(document, { subtree: true, childList: true });
`;

async function timeToRow(page: Page, url: string): Promise<number> {
  await page.goto("about:blank");
  await page.goto(url, { waitUntil: "commit" });
  await page.locator("tbody tr").first().waitFor();
  return page.evaluate<number>("firstRowAt");
}

/** Processor time that an answer with 1,000 jobs, of which one has changed, adds to a second at rest. */
async function updateRows(stack: LocalStack, page: Page, own: string): Promise<Row[]> {
  const { jobs } = await stack.call<{ jobs: [JobSummary] }>("GET", "/v1/jobs?status=active");
  const many = Array.from({ length: 1_000 }, (_, n) => ({
    ...jobs[0],
    job_id: `${n}`.padStart(36, "0"),
    name: `job-${n}`,
  }));
  const session = await page.context().newCDPSession(page);
  const state = { changes: false, version: 0 };
  const busyMs: Promise<number>[] = [];
  await page.route(/\/v1\/jobs\?status=/, (route) => {
    const query = new URL(route.request().url()).searchParams;
    const [offset, limit] = [Number(query.get("offset")), Number(query.get("limit"))];
    if (state.changes && offset === 0) {
      state.version += 1;
      // The page is at rest until it has the answer.
      busyMs.push(readBusyMs(session));
    }
    const warning = `version ${state.version}`;
    const shown = many.slice(offset, offset + limit).map((job, n) => (offset + n === 7 ? { ...job, warning } : job));
    return route.fulfill({ json: { jobs: shown, total: many.length, limit, offset } });
  });
  await page.goto(`${own}/`);
  await page.getByRole("row", { name: /^job-999/ }).waitFor();
  await sleep(5_000);
  // Time of the processor, so that a busy machine counts less.
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const restMs = [await readBusyMs(session)];
  for (let second = 0; second < windowSeconds; second++) {
    await sleep(1000);
    restMs.push(await readBusyMs(session));
  }
  state.changes = true;
  await sleep(windowSeconds * 1000);
  await page.locator(".why", { hasText: `version ${state.version}` }).waitFor();
  await page.unroute(/\/v1\/jobs\?status=/);
  const [updates, rests] = [differences(await Promise.all(busyMs)), differences(restMs)];
  await session.detach();
  const value = median(updates) - median(rests);
  const note = `${updates.length} updates: p50 ${median(updates).toFixed(1)} ms; a second at rest: p50 ${median(rests).toFixed(1)} ms`;
  return [{ name: "console: update of 1,000 jobs, main thread", value, unit: "ms", limit: 50, note }];
}

async function readBusyMs(session: CDPSession): Promise<number> {
  return 1000 * (await readMetric(session, "TaskDuration"));
}

function differences(values: readonly number[]): number[] {
  return values.slice(1).map((value, index) => value - (values[index] ?? Number.NaN));
}

async function readMetric(session: CDPSession, wanted: string): Promise<number> {
  const { metrics } = await session.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === wanted)?.value ?? Number.NaN;
}

/** Requests and heap of a page that shows an active job. */
async function followRows(page: Page, url: string): Promise<Row[]> {
  let requests = 0;
  page.on("request", (request) => {
    if (request.url().includes("/v1/")) requests += 1;
  });
  await page.goto(url);
  await page.getByRole("heading", { name: "Timeline" }).waitFor();
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  await sleep(60_000);
  const before = await heapKb(session);
  await sleep((followedMinutes - 1) * 60_000);
  const after = await heapKb(session);
  const note = `${requests} in ${followedMinutes} minutes`;
  return [
    {
      name: "console: requests of an hour on an active job",
      value: (requests * 60) / followedMinutes,
      unit: "",
      limit: 350,
      note,
    },
    {
      name: "console: heap after the first minute",
      value: after - before,
      unit: "kB",
      // What the engine itself takes. The suite counts an hour by a clock that it moves.
      limit: 350,
      note: `grew in ${followedMinutes - 1} minutes; ${after.toFixed(0)} kB in all`,
    },
  ];
}

async function heapKb(session: CDPSession): Promise<number> {
  await session.send("HeapProfiler.collectGarbage");
  return (await readMetric(session, "JSHeapUsedSize")) / 1024;
}
